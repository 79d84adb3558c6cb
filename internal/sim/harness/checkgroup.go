package harness

import (
	"strings"

	"titrate/internal/rollout"
)

// checkInvoked holds that a function is not promoted by time alone: what is seen of its
// invocations suffices, and there were as many (R11).
func (h *history) checkInvoked(r *rollout.Record, look *rollout.Look) {
	b, a := &look.Before, &look.After
	h.checkRare(r, look)
	if a.Outcome != rollout.Promoted || b.Outcome != "" || a.Command != b.Command || look.Seen.Newer != nil || b.Phase != rollout.Baking {
		return
	}
	for i, m := range r.Plan.Members {
		if !m.Function || a.Stable[i] == 0 || a.Stable[i] == m.Candidate || a.Unmoved(i) {
			continue
		}
		seen, baked := look.Seen.Members[i].Invoked, look.At.Sub(b.Since)
		h.holds(invokedEnough, seen >= b.Invoked[i]+rollout.EnoughInvocations || baked >= rollout.RareBake,
			"rollout %d is promoted after %s, and %s %s was called %d times, %d of them before", look.Rollout, baked, m.Workload, m.Candidate, seen, b.Invoked[i])
		truly, wiped := h.world.Invoked(r.Plan.Key(i), m.Candidate), look.At.Sub(h.checks.lost) < stale
		h.holds(invokedEnough, wiped || truly >= seen, "%s %s was seen to be called %d times, and was %d times", m.Workload, m.Candidate, seen, truly)
	}
}

// checkRare holds that no question is asked for want of a function's requests (R11).
func (h *history) checkRare(r *rollout.Record, look *rollout.Look) {
	b, a := &look.Before, &look.After
	if b.Pause != nil || a.Pause == nil || a.Pause.Owner == who {
		return
	}
	for _, m := range r.Plan.Members {
		if m.Function {
			asks := strings.Contains(a.Pause.Reason, " of "+m.Workload+" has ") || strings.Contains(a.Pause.Reason, " of "+m.Workload+" has closed yet")
			h.holds(rareHoldsNone, !asks, "rollout %d asks: %s", look.Rollout, a.Pause.Reason)
		}
	}
}

// checkWaves holds that a step changes so many members at a time, when those before are
// served (R23).
func (h *history) checkWaves(r *rollout.Record, look *rollout.Look) {
	a := &look.After
	if r.Plan.Waves == 0 || r.Plan.Waves >= len(r.Plan.Members) || a.Phase != rollout.Shifting || len(a.Exclusive) > 0 {
		return
	}
	was, is := look.Before.Wish(r.Plan).Members, a.Wish(r.Plan).Members
	changed, away := 0, 0
	for i := range is {
		if is[i].Weight != was[i].Weight {
			changed++
		}
		if served := h.served(r.Plan.Key(i), was[i].Candidate); is[i].Stable != is[i].Candidate && !a.Unmoved(i) && !r.Plan.Members[i].Worker && served != was[i].Weight {
			away++
		}
	}
	h.holds(inWaves, changed <= r.Plan.Waves, "%d members of rollout %d change at a time, not %d", changed, look.Rollout, r.Plan.Waves)
	h.holds(inWaves, changed == 0 || away == 0 || look.At.Sub(h.checks.lost) < stale, "%d members of rollout %d change while %d are on their way", changed, look.Rollout, away)
}

// served is a version's share in the table that the router serves.
func (h *history) served(k rollout.Key, v rollout.Version) rollout.Weight {
	for key, split := range h.world.Table {
		if key == k {
			return shareOf(split, v)
		}
	}
	return 0
}

// checkTogether holds that a group is promoted as a whole, or not at all (R23).
func (h *history) checkTogether(c rollout.Change, r *rollout.Record, look *rollout.Look) {
	b, a := &look.Before, &look.After
	if !a.Over() || b.Over() || len(a.Stable) == 0 || len(r.Plan.Members) == 1 {
		return
	}
	promoted := map[rollout.Key]bool{}
	for _, p := range c.Promotions {
		promoted[p.Key] = promoted[p.Key] || p.Rollout == look.Rollout
	}
	for i, m := range r.Plan.Members {
		k := r.Plan.Key(i)
		if a.Stable[i] == m.Candidate || a.Unmoved(i) || h.store.Stable(k) == m.Candidate {
			continue
		}
		h.holds(sameEnd, promoted[k] == (a.Outcome == rollout.Promoted), "rollout %d is %s, and %s %s is promoted: %t", look.Rollout, a.Outcome, m.Workload, m.Candidate, promoted[k])
		h.holds(sameEnd, a.Outcome == rollout.Promoted || a.Wish(r.Plan).Members[i].Weight == 0, "rollout %d is %s, and %s %s is asked to have traffic", look.Rollout, a.Outcome, m.Workload, m.Candidate)
	}
}
