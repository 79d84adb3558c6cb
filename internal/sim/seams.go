package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// Ensure takes a wanted world as the target.
func (w *World) Ensure(_ context.Context, wanted world.Wanted) error {
	fate := w.fate(SeamTarget)
	if fate == Refused || w.Down() {
		return fmt.Errorf("the target: %w", ErrFate)
	}
	act, err := w.take(w.targetStamp, wanted.Stamp)
	if err != nil {
		return err
	}
	if act {
		w.ensure(wanted)
	}
	if fate == Unanswered {
		return fmt.Errorf("the target's answer: %w", ErrFate)
	}
	return nil
}

// Split takes a wanted world as the router.
func (w *World) Split(_ context.Context, wanted world.Wanted) error {
	fate := w.fate(SeamRouter)
	if fate == Refused || w.Down() {
		return fmt.Errorf("the router: %w", ErrFate)
	}
	act, err := w.take(w.routerStamp, wanted.Stamp)
	if err != nil {
		return err
	}
	if act {
		w.split(wanted)
	}
	if fate == Unanswered {
		return fmt.Errorf("the router's answer: %w", ErrFate)
	}
	return nil
}

func (w *World) split(wanted world.Wanted) {
	now := w.Clock.Now()
	if w.Bugs.Table != nil {
		wanted.Workloads = slices.Clone(wanted.Workloads)
		w.Bugs.Table(&wanted)
	}
	for _, o := range w.works {
		o.split = nil
	}
	for i := range wanted.Workloads {
		o := w.work(wanted.Workloads[i].Key)
		o.split, o.routedAt = wanted.Workloads[i].Split, now
	}
	w.routerStamp, w.ackAt = wanted.Stamp, now
	if w.Ack != nil {
		w.ackAt = now.Add(w.Ack())
	}
	w.acknowledge(now)
}

// acknowledge says that the table is served, when all loops have it.
func (w *World) acknowledge(now time.Time) {
	if w.served.Stamp == w.routerStamp || now.Before(w.ackAt) || w.Bugs.NeverAcks {
		return
	}
	w.served = world.Served{Stamp: w.routerStamp, Since: w.ackAt, Split: make(map[string][]world.Share, len(w.works))}
	for _, o := range w.works {
		if o.split != nil {
			w.served.Split[o.name] = o.split
		}
	}
	w.changed = true
}

// Seen returns what the node shows, at once, whatever after is.
func (w *World) Seen(context.Context, uint64) (world.Seen, error) {
	if w.Down() {
		return world.Seen{}, fmt.Errorf("the node is restarting: %w", ErrFate)
	}
	if !w.changed {
		return w.seen, nil
	}
	w.changed = false
	w.sequence++
	s := world.Seen{
		Sequence: w.sequence, Epoch: epochs[w.epoch%len(epochs)], Stamp: w.targetStamp, Served: w.served.Stamp, Since: w.served.Since,
		Fleets: make([]world.FleetSeen, 0, 2*len(w.works)), Idle: map[string]time.Time{},
	}
	for _, o := range w.works {
		for _, f := range o.fleets {
			seen := world.FleetSeen{Key: o.key, Version: f.version, Ready: f.ready, Restarts: f.restarts, Failure: f.failure}
			seen.Invoked, seen.Concurrency = f.invoked, w.concurrency(o, f)
			for _, in := range f.instances {
				if in.state == world.InstanceDraining {
					seen.Open++
				}
				s.Instances = append(s.Instances, world.Instance{ID: in.id, Key: o.key, Version: f.version, State: in.state, Since: in.since, Restarts: in.tries})
			}
			s.Fleets = append(s.Fleets, seen)
		}
		if !o.quiet.IsZero() {
			s.Idle[o.name] = o.quiet
		}
	}
	if len(w.hooks) > 0 {
		s.Hooks = make(map[string]rollout.HookResult, len(w.hooks))
		for key, h := range w.hooks {
			s.Hooks[key] = h.result
		}
	}
	w.seen = s
	return s, nil
}

// Served returns the table that all loops have acknowledged last.
func (w *World) Served(context.Context) (world.Served, error) {
	if w.Down() {
		return world.Served{}, fmt.Errorf("the router is restarting: %w", ErrFate)
	}
	return world.Served{Stamp: w.served.Stamp, Since: w.served.Since, Split: maps.Clone(w.served.Split)}, nil
}
