package local

import (
	"cmp"
	"slices"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// Seen is what is of the processes of this machine.
type Seen struct {
	Instances []world.Instance // by workload, version and index
	// Fleets leaves Open and Weight out, which the gateway knows.
	Fleets      []world.FleetSeen
	Hooks       map[string]rollout.HookResult // those wanted, and those that run
	Accessories []world.AccessorySeen         // by key
	// DiskFull says that logs are dropped, or records cannot be stored.
	DiskFull bool
}

// Seen returns what is, and a channel that is closed when that has changed.
func (s *Supervisor) Seen() (Seen, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := Seen{Hooks: map[string]rollout.HookResult{}, DiskFull: s.noSpace}
	for _, f := range s.fleets {
		one := world.FleetSeen{Key: f.id.key, Version: f.id.version, Ready: s.drawable(f), Restarts: f.rec.Restarts, Failure: f.rec.Failure}
		f.seenCalls(&one, s.cfg.Now())
		seen.Fleets = append(seen.Fleets, one)
		for _, e := range f.environments() {
			seen.Instances = append(seen.Instances, e.seen())
		}
		for _, in := range f.instances {
			seen.Instances = append(seen.Instances, in.seen())
		}
	}
	slices.SortFunc(seen.Fleets, func(a, b world.FleetSeen) int {
		return cmp.Or(cmp.Compare(a.Key.String(), b.Key.String()), cmp.Compare(a.Version, b.Version))
	})
	slices.SortStableFunc(seen.Instances, func(a, b world.Instance) int {
		return cmp.Or(cmp.Compare(a.Key.String(), b.Key.String()), cmp.Compare(a.Version, b.Version),
			cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	wanted := map[string]bool{}
	for _, h := range s.wanted.Hooks {
		wanted[h.Key] = true
	}
	for key, h := range s.hooks {
		if h.alive || wanted[key] {
			seen.Hooks[key] = h.result()
		}
	}
	for _, h := range s.accessories {
		seen.Accessories = append(seen.Accessories, h.seen())
	}
	slices.SortFunc(seen.Accessories, func(a, b world.AccessorySeen) int { return cmp.Compare(a.Key.String(), b.Key.String()) })
	for _, l := range s.logs {
		seen.DiskFull = seen.DiskFull || l.full()
	}
	return seen, s.changed
}

// seen tells of the instance. The caller holds mu.
func (in *instance) seen() world.Instance {
	return world.Instance{
		ID: in.rec.ID, Key: in.rec.Key, Version: in.rec.Version, State: in.rec.State, PID: in.rec.PID,
		Addr: in.rec.Addr, Since: in.rec.Since, Restarts: in.rec.Restarts, Last: in.rec.Last, Why: in.why,
	}
}
