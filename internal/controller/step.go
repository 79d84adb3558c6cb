package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"time"

	"titrate/internal/rollout"
)

// A step is bounded: a rollout makes at most so many moves in a row, and so many
// decisions are stored together.
const (
	movesInARow = 16
	batch       = 256
)

// Step looks at every live rollout, stores what follows, and asks the hands for
// the world that is wanted then. It reports whether anything was stored. After an
// error nothing is lost: the next step goes on from what is stored. An error that
// wraps rollout.ErrFenced or world.ErrStale is final: another controller is in
// charge (R18).
func (c *Controller) Step(ctx context.Context, now time.Time) (changed bool, err error) {
	if changed, err = c.decide(ctx, now, math.MaxInt); err != nil {
		return changed, err
	}
	return changed, c.ensure(ctx)
}

// decide looks, decides and stores until nothing moves any more: first for the
// rollouts with news and a few others, then for those that the moves concern.
func (c *Controller) decide(ctx context.Context, now time.Time, sweep int) (changed bool, err error) {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	now = now.Round(0).UTC()
	c.mu.Lock()
	if c.observed() {
		c.memory.watch(now)
	}
	c.mu.Unlock()
	ids := c.take(sweep)
	for range movesInARow {
		looks := c.looks(ids, now)
		// What was decided together is stored together, so that ten thousand
		// decisions do not wait for ten thousand disks; and the ways back first.
		slices.SortStableFunc(looks, func(a, b rollout.Look) int { return urgency(a) - urgency(b) })
		for some := range slices.Chunk(looks, batch) {
			if err := c.commit(ctx, c.change(some, now)); err != nil {
				c.mu.Lock()
				c.memory.news.all = true
				c.mu.Unlock()
				return changed, fmt.Errorf("store decisions: %w", err)
			}
			changed = true
			c.tell(some)
		}
		if ids = c.take(0); len(ids) == 0 {
			return changed, c.stillWatching(ctx, now)
		}
	}
	wake(c.nudge)
	return changed, nil
}

func urgency(l rollout.Look) int {
	if l.Before.Back == nil && l.After.Back != nil {
		return 0
	}
	return 1
}

// looks returns the looks of the rollouts ids at which a state changed.
func (c *Controller) looks(ids []int64, now time.Time) []rollout.Look {
	c.mu.Lock()
	defer c.mu.Unlock()
	var looks []rollout.Look
	for _, id := range ids {
		l := c.memory.live[id]
		if l == nil {
			continue
		}
		l.last, l.lastAt = c.look(l, now), now
		after := rollout.Next(l.Plan, l.State, l.last, now)
		if reflect.DeepEqual(l.State, after) {
			l.unwatched = time.Time{} // the break was nothing to it
			continue
		}
		looks = append(looks, rollout.Look{
			Rollout: id, Sequence: l.Revision, Core: rollout.CoreVersion, At: now, Before: l.State, Seen: l.last, After: after,
		})
	}
	return looks
}

// change is what a set of looks stores: the looks, what follows from outcomes,
// and the events that tell of it.
func (c *Controller) change(looks []rollout.Look, now time.Time) rollout.Change {
	c.mu.RLock()
	defer c.mu.RUnlock()
	ch := rollout.Change{At: now, Looks: looks}
	for _, look := range looks {
		l := c.memory.live[look.Rollout]
		if look.Before.Phase == rollout.Queued && look.After.Phase == rollout.Starting {
			ch.Baselines = append(ch.Baselines, c.memory.freeze(l)...)
		}
		if look.After.Over() && !look.Before.Over() {
			c.memory.conclude(&ch, l, look)
		}
		// A state also keeps books, of which nobody needs to hear.
		if standing(look.Before) != standing(look.After) {
			ch.Events = append(ch.Events, moved(rollout.EventMoved, l.Plan, look.After, now))
		}
	}
	return ch
}

// conclude adds what an outcome brings about: promotion moves the stable version
// (R8); a bad end, and being rolled back from, refuses a version (R9). That a way back
// ended badly says nothing of the version that it led to: whoever asks again goes
// there again.
func (m *memory) conclude(ch *rollout.Change, l *live, look rollout.Look) {
	s := look.After
	for i, member := range l.Plan.Members {
		k := l.Plan.Key(i)
		w := m.works[k]
		switch s.Outcome {
		case rollout.Promoted:
			m.settle(ch, l, w, i)
			if w.Stable == member.Candidate || s.Unmoved(i) {
				continue
			}
			p := rollout.Promotion{Key: k, Version: member.Candidate, From: w.Stable, Rollout: l.Plan.Rollout, At: look.At}
			if v := w.versions[member.Candidate]; v != nil {
				p.Release = v.Release
				if v.Refused != "" {
					ch.Refusals = append(ch.Refusals, rollout.Refusal{Key: k, Version: member.Candidate})
				}
			}
			ch.Promotions = append(ch.Promotions, p)
			if l.Plan.Kind == rollout.Rollback && w.Stable != 0 {
				ch.Refusals = append(ch.Refusals, rollout.Refusal{Key: k, Version: w.Stable, Ended: rollout.RolledBack, Why: "rolled back to " + member.Candidate.String() + by(l.By)})
			}
		case rollout.RolledBack, rollout.Aborted, rollout.Failed:
			v := w.versions[member.Candidate]
			if b := s.Back; b != nil && b.Member >= 0 && b.Member != i {
				continue // the fault is another member's: with that mended, this version goes on (R23)
			}
			if v == nil || l.Plan.Kind == rollout.Rollback || v.Refused != "" || w.Stable == member.Candidate || s.Unmoved(i) {
				continue
			}
			ch.Refusals = append(ch.Refusals, rollout.Refusal{Key: k, Version: member.Candidate, Ended: s.Outcome, Why: s.Why})
		case rollout.Superseded:
			// A superseded version may be tried again.
		}
	}
}

func by(who string) string {
	if who == "" {
		return ""
	}
	return " by " + who
}

// moved is the event of a rollout that stands somewhere else now.
func moved(kind rollout.EventKind, p rollout.Plan, s rollout.State, now time.Time) rollout.Event {
	e := rollout.Event{At: now, Kind: kind, App: p.App, Env: p.Env, Rollout: p.Rollout, Release: p.Release}
	if len(p.Members) == 1 {
		e.Workload = p.Members[0].Workload
	}
	e.Data = encode(standing(s))
	return e
}

func standing(s rollout.State) rollout.Moved {
	return rollout.Moved{
		Phase: s.Phase, Outcome: s.Outcome, Why: s.Why, Step: s.Step, Weight: s.Weight, Attempt: s.Attempt, Paused: s.Pause != nil,
	}
}

// encode writes a value whose encoding cannot fail: strings, numbers and times.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("controller: encode %T: %v", v, err))
	}
	return b
}

// tell logs each change of life with its reason.
func (c *Controller) tell(looks []rollout.Look) {
	for _, look := range looks {
		if look.Before.Phase == look.After.Phase && look.Before.Weight == look.After.Weight && look.Before.Step == look.After.Step {
			continue
		}
		c.Log.Info("rollout moved", slog.Int64("rollout", look.Rollout), slog.String("phase", string(look.After.Phase)),
			slog.Int("step", look.After.Step), slog.String("weight", look.After.Weight.String()),
			slog.String("outcome", string(look.After.Outcome)), slog.String("why", look.After.Why))
	}
}

// final reports whether an error means that another controller is in charge.
func final(err error) bool { return errors.Is(err, rollout.ErrFenced) || isStale(err) }
