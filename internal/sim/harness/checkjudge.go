package harness

import "titrate/internal/rollout"

// checkHeld holds that what goes on by itself was held, and baked, as long as the
// plan says (R13, R20).
func (h *history) checkHeld(r *rollout.Record, look *rollout.Look) {
	b, a := &look.Before, &look.After
	if a.Command != b.Command || b.NoBaseline {
		return
	}
	switch {
	case b.Phase == rollout.Shifting && (a.Step > b.Step || a.Phase == rollout.Baking):
		step := r.Plan.Steps[b.Step]
		held := look.At.Sub(b.Arrived)
		h.holds(heldAsPlanned, !b.Arrived.IsZero() && held >= step.Hold && !step.Approve, "step %d of rollout %d was held %s of %s, approve: %t",
			b.Step+1, look.Rollout, held, step.Hold, step.Approve)
	case b.Phase == rollout.Baking && a.Outcome == rollout.Promoted && look.Seen.Newer == nil:
		baked := look.At.Sub(b.Since)
		h.holds(heldAsPlanned, baked >= r.Plan.Bake, "rollout %d baked %s of %s", look.Rollout, baked, r.Plan.Bake)
	}
}

// surely is a share of failed requests that each imagined alarm over errors finds
// too high.
const surely = 0.1

// checkJudged holds that a version which fails its requests is not promoted
// unless a person has spoken, and that none is taken back by an alarm which has
// nothing wrong with it (R11, R27).
func (h *history) checkJudged(r *rollout.Record, look *rollout.Look) {
	b, a := &look.Before, &look.After
	for i, m := range r.Plan.Members {
		n, known := h.natures[h.checks.artifacts[tried{r.Plan.Key(i), m.Candidate}]]
		if !known || i >= len(a.Stable) || a.Stable[i] == m.Candidate || a.Unmoved(i) {
			continue
		}
		measured, fails := !m.Worker && h.loads[m.Workload] > 0 && a.Stable[i] != 0 && !r.Plan.NoDataPasses, n.Errors
		if m.Function { // what is called seldom tells little, and less among many
			fails = (n.Errors + n.Timeouts) / 3
			measured = measured && h.loads[m.Workload] >= 30
		}
		if a.Outcome == rollout.Promoted && b.Outcome == "" && measured && a.Command == 0 {
			h.holds(judgedWell, fails < surely, "rollout %d is promoted by itself, and %s %s fails %.0f %% of its requests", look.Rollout, m.Workload, m.Candidate, 100*(n.Errors+n.Timeouts))
		}
		if a.Back != nil && b.Back == nil && a.Back.Member == i && a.Back.Evidence != nil && a.Back.Evidence.Err == "" {
			ill := n.fault == BadErrors || n.fault == BadLatency || n.fault == BadTimeouts || n.fault == Throttled ||
				m.Function && len(r.Plan.Members) == 1 && n.Errors > 0 // by itself an alarm trips as it is written, chance or not
			h.holds(judgedWell, ill, "rollout %d is taken back, and nothing is wrong with %s %s: %s", look.Rollout, m.Workload, m.Candidate, a.Back.Why)
		}
	}
}
