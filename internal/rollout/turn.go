package rollout

import (
	"fmt"
	"slices"
)

// makeRoom ends a rollout that has not begun because a newer one that waits too
// will move all that it would have moved (R3). Under `queue` each has its turn. A
// rollback keeps its place: a push did not ask for it, and does not undo it (R8).
func makeRoom(l *look, s State) (State, bool) {
	newer := l.seen.Newer
	if newer == nil || !newer.Covers || newer.Overlap == OverlapQueue && !newer.Urgent || l.plan.Kind == Rollback {
		return s, false
	}
	return l.goBack(s, Back{Outcome: Superseded, Member: -1, Why: fmt.Sprintf("%s took its place before it began", newer.Release)}), true
}

// waitTurn waits for the rollouts opened earlier, and for a first sight of the
// world: stable is what is stable when the turn comes.
func waitTurn(l *look, s State) (State, bool) {
	return s, l.seen.Ahead || !l.observed()
}

// takeTurn begins the rollout, from the versions that are stable now.
func takeTurn(l *look, s State) (State, bool) {
	for i, m := range l.seen.Members {
		// A person who rolls back to a version knows what it did before (R8).
		if m.Refused != "" && l.plan.Kind != Rollback {
			// Failed, not superseded: no newer release is on its way, and whoever
			// reads the outcome should ask why. A retry clears the refusal (R9).
			why := fmt.Sprintf("%s is refused: %s", l.candidate(i), m.Refused)
			return l.goBack(s, Back{Outcome: Failed, Member: i, Why: why}), true
		}
	}
	n := len(l.plan.Members)
	same, exclusive := make([]bool, n), make([]bool, n)
	s.Stable = make([]Version, n)
	for i, m := range l.seen.Members {
		s.Stable[i], same[i], exclusive[i] = m.Stable, m.Same, m.Exclusive
	}
	if slices.Contains(same, true) {
		s.Same = same
	}
	if slices.Contains(exclusive, true) {
		s.Exclusive = exclusive
	}
	return l.begin(s)
}

// begin starts the first attempt, unless nothing is left to move: an earlier
// rollout may have promoted these versions while this one waited.
func (l *look) begin(s State) (State, bool) {
	moving, baselines := false, false
	for i, stable := range s.Stable {
		moving = moving || s.moves(l.plan, i)
		baselines = baselines || stable != 0
	}
	if !moving {
		s.Outcome = Promoted
		return l.to(s, Ended, "its versions are stable already"), true
	}
	s.NoBaseline = !baselines
	s = l.attempt(s, s.Attempt, s.Step, "the candidates come up")
	if l.plan.Kind != Rollback {
		s, _ = l.askHooks(s, HookRelease)
	}
	return s, true
}

// giveWay ends a running rollout for a newer one that supersedes (R3). A hook
// that runs is let finish, so that hooks of two releases never run at once. A
// rollback does not give way: the version it leaves is worse.
func giveWay(l *look, s State) (State, bool) {
	newer := l.seen.Newer
	if newer == nil || newer.Overlap != OverlapSupersede && !newer.Urgent || l.plan.Kind == Rollback || s.awaitsHooks() {
		return s, false
	}
	if s.Phase == Baking && s.Pause == nil {
		if next, baked := promote(l, s); baked { // a clean bake is worth more than its place
			return next, true
		}
	}
	return l.goBack(s, Back{Outcome: Superseded, Member: -1, Why: fmt.Sprintf("%s takes its place", newer.Release)}), true
}
