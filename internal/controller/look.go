package controller

import (
	"slices"
	"time"

	"titrate/internal/rollout"
)

// look assembles what one rollout may know of the world.
func (c *Controller) look(l *live, now time.Time) rollout.Seen {
	seen := rollout.Seen{Commands: l.commands, Ahead: c.memory.ahead(l), Newer: c.memory.newer(l)}
	if !c.observed() || !l.unwatched.IsZero() {
		seen.Unwatched = l.unwatched
		return seen
	}
	for _, h := range l.State.Hooks {
		if result, ok := c.sight.seen.Hooks[h.Key]; ok {
			if seen.Hooks == nil {
				seen.Hooks = map[string]rollout.HookResult{}
			}
			seen.Hooks[h.Key] = result
		}
	}
	seen.Cut = c.sight.cut(l.Plan.Rollout, l.State.Attempt)
	seen.Members = make([]rollout.MemberSeen, len(l.members))
	for i, m := range l.members {
		seen.Members[i] = c.lookAt(l, m, now)
	}
	return seen
}

func (c *Controller) lookAt(l *live, m *member, now time.Time) rollout.MemberSeen {
	w := c.memory.works[m.key]
	seen := rollout.MemberSeen{Stable: w.Stable, Served: c.sight.share(m.key, m.candidate, l.asked), Idle: c.sight.idle(m.name, now)}
	if v := w.versions[m.candidate]; v != nil {
		seen.Refused = v.Refused
		seen.Same = l.State.Phase == rollout.Queued && w.stable() != nil && w.stable().Digest == v.Digest
	}
	seen.Exclusive = l.State.Phase == rollout.Queued && w.exclusive(m.candidate)
	seen.Free = len(l.State.Exclusive) > 0 && !c.sight.seen.Stamp.Less(l.wished) && !c.sight.lives[m.key]
	base := w.Stable
	if m.base != 0 {
		base = m.base
	}
	stable, candidate := c.sight.fleets[fleetKey{m.key, base}], c.sight.fleets[fleetKey{m.key, m.candidate}]
	seen.StableReady, seen.Restarts, seen.Invoked = stable.Ready, candidate.Restarts, candidate.Invoked
	if !c.sight.seen.Stamp.Less(l.began) {
		// Before the target knows of this attempt, it shows the instances and the
		// failure of an earlier one (R7).
		seen.Ready, seen.Failure = candidate.Ready, candidate.Failure
		if l.State.Phase == rollout.Starting {
			seen.Unready = c.sight.unwell[fleetKey{m.key, m.candidate}]
		}
	}
	if l.State.Phase == rollout.Retiring {
		seen.Open = candidate.Open
		if l.State.Outcome == rollout.Promoted {
			seen.Open = stable.Open
		}
	}
	if l.State.Phase == rollout.Shifting || l.State.Phase == rollout.Baking {
		seen.Readings = m.judge(c.sight.blind, c.sight.ended[fleetKey{m.key, m.candidate}], now)
	}
	return seen
}

// ahead reports whether a rollout that was opened earlier has a workload of l and
// no outcome yet (R3).
func (m *memory) ahead(l *live) bool {
	for _, f := range l.members {
		for _, o := range m.byKey[f.key] {
			if o.Plan.Rollout < l.Plan.Rollout && !o.State.Over() {
				return true
			}
		}
	}
	return false
}

// newer returns the newest rollout that waits behind l, or nil. It is urgent if
// any that waits is.
func (m *memory) newer(l *live) *rollout.Newer {
	var newest *live
	urgent := false
	for _, f := range l.members {
		for _, o := range m.byKey[f.key] {
			if o.State.Phase != rollout.Queued || o.Plan.Rollout <= l.Plan.Rollout {
				continue
			}
			urgent = urgent || o.Plan.Urgent
			if newest == nil || o.Plan.Rollout > newest.Plan.Rollout {
				newest = o
			}
		}
	}
	if newest == nil {
		return nil
	}
	return &rollout.Newer{
		Rollout: newest.Plan.Rollout, Release: newest.Plan.Release, Overlap: newest.Plan.Overlap, Urgent: urgent,
		Covers: covers(newest.Plan, l.Plan),
	}
}

// covers reports whether plan p moves every workload that o does.
func covers(p, o rollout.Plan) bool {
	for _, m := range o.Members {
		if !slices.ContainsFunc(p.Members, func(n rollout.Member) bool { return n.Workload == m.Workload }) {
			return false
		}
	}
	return true
}
