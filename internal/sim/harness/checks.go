package harness

import (
	"reflect"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// checks is what the invariants remember.
type checks struct {
	refused   map[tried]rollout.Outcome // versions that ended badly, and nobody asked for since (R9)
	aborted   map[int64]bool            // rollouts of which an abort was stored; true: nothing else took them back before
	plans     map[int64]rollout.Plan    // as they were opened
	artifacts map[tried]string          // of versions
	target    world.Stamp
	router    world.Stamp
	lost      time.Time // when the node lost its disk last
}

type tried struct {
	key     rollout.Key
	version rollout.Version
}

func newChecks() checks {
	return checks{refused: map[tried]rollout.Outcome{}, aborted: map[int64]bool{}, plans: map[int64]rollout.Plan{}, artifacts: map[tried]string{}}
}

// wiped notes that the node has lost everything, also which worlds it took.
func (c *checks) wiped(now time.Time) {
	c.target, c.router, c.lost = world.Stamp{}, world.Stamp{}, now
}

// stale is how old what a controller decides on may be: observations are lost,
// and then late, for so long.
const stale = 2*latest + 3*time.Second

// returnPatience is how long traffic that goes back waits for capacity (R5).
const returnPatience = 10 * time.Second

// commit checks a change right before it is stored.
func (h *history) commit(c rollout.Change) {
	h.holds(oneWriter, h.acting == h.newest, "a controller without a lease stored something: %d decisions", len(c.Looks))
	for _, v := range c.Versions {
		h.checks.artifacts[tried{v.Key, v.Number}] = v.Artifact.Digest
	}
	for _, r := range c.Opened {
		h.checkOpened(r)
	}
	for i := range c.Looks {
		look := &c.Looks[i]
		r := h.store.Record(look.Rollout)
		if h.sabotage.next == nil {
			h.checkReplay(r, look)
		}
		h.checkCapacity(r, look)
		h.checkOutcome(r, look)
		h.checkGuard(r, look)
		h.checkHeld(r, look)
		h.checkJudged(r, look)
		h.checkInvoked(r, look)
		h.checkWaves(r, look)
		h.checkTogether(c, r, look)
		wait := rollout.Waiting(r.Plan, look.After, look.Seen, look.At)
		h.holds(waitsNamed, wait.For != "" || look.After.Phase == rollout.Ended, "rollout %d waits in %s", look.Rollout, look.After.Phase)
		h.traceLook(r, look)
	}
	for _, p := range c.Promotions {
		h.checkPromotion(c, p)
	}
	for _, a := range c.Commands {
		if r := h.store.Record(a.Rollout); a.Command.Verb == rollout.Abort && !r.State.Over() {
			h.checks.aborted[a.Rollout] = r.State.Back == nil
		}
	}
}

func (h *history) traceLook(r *rollout.Record, look *rollout.Look) {
	b, a := &look.Before, &look.After
	if h.trace == nil || b.Phase == a.Phase && b.Weight == a.Weight && b.Step == a.Step && b.Outcome == a.Outcome && (b.Pause == nil) == (a.Pause == nil) && a.Refused == b.Refused {
		return
	}
	name := ""
	for _, m := range r.Plan.Members {
		name += m.Workload + " " + m.Candidate.String() + " "
	}
	h.tracef("rollout %d of %s%s → %s %s %s: %s %s", look.Rollout, name, b.Phase, a.Phase, a.Weight, a.Outcome, a.Why, a.Refused)
}

// checkReplay decides a look again (R19).
func (h *history) checkReplay(r *rollout.Record, look *rollout.Look) {
	again := rollout.Next(r.Plan, look.Before, look.Seen, look.At)
	h.holds(replays, reflect.DeepEqual(look.Before, r.State), "look %d of rollout %d does not begin where it stands: %+v, not %+v", look.Sequence, look.Rollout, look.Before, r.State)
	h.holds(replays, reflect.DeepEqual(again, look.After), "look %d of rollout %d: %+v, then %+v", look.Sequence, look.Rollout, look.After, again)
}

// checkCapacity holds a look that moves weight to what was seen, and to what was
// so (R5).
func (h *history) checkCapacity(r *rollout.Record, look *rollout.Look) {
	b, a := &look.Before, &look.After
	if a.Weight == b.Weight {
		return
	}
	for i, m := range r.Plan.Members {
		stable := a.Stable[i]
		wentAhead := b.Back != nil && b.Back.Ahead && b.Back.Member == i // R23
		if stable == m.Candidate || a.Unmoved(i) || wentAhead {
			continue
		}
		changesPlaces := len(a.Exclusive) > 0 // R31: stable comes up when the candidate has gone
		k, v, need := r.Plan.Key(i), m.Candidate, a.Weight.Instances(m.Instances)
		seen := 0
		if i < len(look.Seen.Members) {
			seen = look.Seen.Members[i].Ready
		}
		switch {
		case a.Weight < b.Weight && (stable == 0 || changesPlaces || b.Phase == rollout.Returning && look.At.Sub(b.Since) >= returnPatience):
			continue
		case a.Weight < b.Weight:
			v, need = stable, (rollout.Full - a.Weight).Instances(m.Instances)
			if i < len(look.Seen.Members) {
				seen = look.Seen.Members[i].StableReady
			}
		case stable == 0 || r.Plan.FullCapacity:
			need = m.Instances
		}
		h.holds(capacity, seen >= need, "rollout %d goes from %s to %s, but %d of %d instances of %s %s were seen to be ready",
			look.Rollout, b.Weight, a.Weight, seen, need, k.Workload, v)
		was := h.world.WasReady(k, v, need)
		excused := look.At.Sub(h.checks.lost) < stale
		h.holds(capacity, need == 0 || excused || look.At.Sub(was) < stale, "rollout %d goes from %s to %s, but %d instances of %s %s were last ready %s ago (%d are now)",
			look.Rollout, b.Weight, a.Weight, need, k.Workload, v, look.At.Sub(was), h.world.Ready(k, v))
	}
}

// checkOutcome holds that there is one outcome, and that an abort is obeyed (R6).
func (h *history) checkOutcome(r *rollout.Record, look *rollout.Look) {
	b, a := &look.Before, &look.After
	h.holds(oneOutcome, b.Outcome == "" || a.Outcome == b.Outcome, "rollout %d was %s and is %s", look.Rollout, b.Outcome, a.Outcome)
	h.holds(oneOutcome, a.Phase != rollout.Ended || a.Over(), "rollout %d ended without an outcome", look.Rollout)
	if !a.Over() || b.Over() {
		return
	}
	h.outcomes[a.Outcome]++
	if first, asked := h.checks.aborted[look.Rollout]; asked {
		h.holds(abortWins, a.Outcome != rollout.Promoted && (!first || a.Outcome == rollout.Aborted), "rollout %d was asked to abort and is %s: %s", look.Rollout, a.Outcome, a.Why)
	}
	if a.Outcome == rollout.Promoted {
		return
	}
	h.holds(abortWins, a.Weight == 0, "rollout %d is %s at %s", look.Rollout, a.Outcome, a.Weight)
	for i, m := range r.Plan.Members {
		k := r.Plan.Key(i)
		if !a.Took || a.Stable[i] == m.Candidate || a.Unmoved(i) || h.store.Stable(k) == m.Candidate {
			continue
		}
		for key, split := range h.world.Table {
			h.holds(abortWins, key != k || shareOf(split, m.Candidate) == 0, "rollout %d is %s, and %s %s has traffic", look.Rollout, a.Outcome, k.Workload, m.Candidate)
		}
	}
}

func shareOf(split []world.Share, v rollout.Version) (w rollout.Weight) {
	for _, s := range split {
		if s.Version == v {
			w += s.Weight
		}
	}
	return w
}

// checkOpened notes the plan, and that a refused version is tried again by a
// person only (R9).
func (h *history) checkOpened(r rollout.Record) {
	h.checks.plans[r.Plan.Rollout] = r.Plan
	for i, m := range r.Plan.Members {
		t := tried{r.Plan.Key(i), m.Candidate}
		if r.Retries != 0 || r.Plan.Kind == rollout.Rollback {
			delete(h.checks.refused, t)
		}
		outcome, refused := h.checks.refused[t]
		h.holds(loopGuard, !refused, "rollout %d of %s %s was opened, which is %s", r.Plan.Rollout, m.Workload, m.Candidate, outcome)
	}
}

// checkGuard notes versions that end badly, and that none of them begins (R9).
func (h *history) checkGuard(r *rollout.Record, look *rollout.Look) {
	b, a := &look.Before, &look.After
	for i, m := range r.Plan.Members {
		t := tried{r.Plan.Key(i), m.Candidate}
		if b.Phase == rollout.Queued && a.Phase == rollout.Starting && r.Plan.Kind != rollout.Rollback && a.Stable[i] != m.Candidate && !a.Unmoved(i) {
			outcome, refused := h.checks.refused[t]
			h.holds(loopGuard, !refused, "rollout %d of %s %s begins, which is %s", r.Plan.Rollout, m.Workload, m.Candidate, outcome)
		}
		anothers := a.Back != nil && a.Back.Member >= 0 && a.Back.Member != i // fault: R23
		if a.Over() && !b.Over() && h.store.Stable(t.key) != m.Candidate && !a.Unmoved(i) && !anothers {
			switch a.Outcome {
			case rollout.RolledBack, rollout.Aborted, rollout.Failed:
				h.checks.refused[t] = a.Outcome
			case rollout.Promoted, rollout.Superseded:
			}
		}
	}
}

// checkPromotion holds that stable moves with the outcome of its rollout.
func (h *history) checkPromotion(c rollout.Change, p rollout.Promotion) {
	h.holds(stableMoves, h.store.Stable(p.Key) == p.From, "%s is promoted from %s, but %s is stable", p.Key, p.From, h.store.Stable(p.Key))
	if h.promoted != nil {
		h.promoted.note(p.Key, c.At)
	}
	promoted := false
	for i := range c.Looks {
		promoted = promoted || c.Looks[i].Rollout == p.Rollout && c.Looks[i].After.Outcome == rollout.Promoted
	}
	h.holds(stableMoves, promoted, "%s %s is promoted without its rollout %d", p.Key, p.Version, p.Rollout)
}
