package rollout

import (
	"fmt"
	"time"
)

// enter begins a step, at its weight if the capacity is there.
func (l *look) enter(s State, step int) State {
	s.Step, s.Since, s.Why = step, l.now, s.at(l.plan, step)
	if s.goal(l.plan) == s.Weight {
		return s.unarrived() // another stop at the same weight has a hold of its own
	}
	if shifted, ok := shift(l, s); ok {
		return shifted
	}
	s.Why += " waits for its capacity"
	return s
}

// shift asks for the goal's weight as soon as the version that gains by it can
// carry its share (R5), of the first members only if they go in waves (R23).
func shift(l *look, s State) (State, bool) {
	goal := s.goal(l.plan)
	switch {
	case goal == s.Weight,
		goal > s.Weight && !l.candidatesCarry(s, goal),
		goal < s.Weight && !l.stableCarries(s, Full-goal):
		return s, false
	}
	if s.inWaves(l.plan) {
		return l.firstWave(s, goal)
	}
	s.Weight, s.Took, s.Why = goal, true, s.at(l.plan, s.Step)
	return s.unarrived(), true
}

// arrive writes down that every gateway loop of every member has the weight: the
// hold begins, and judging (R13, R23). While there are members that do not have it yet,
// it is their turn.
func arrive(l *look, s State) (State, bool) {
	switch {
	case !s.Arrived.IsZero() || !l.served(s):
		return s, false
	case s.Shares != nil && (s.Pause != nil || s.goal(l.plan) == s.Weight):
		return l.nextWave(s)
	case s.Shares != nil:
		return s, false // another weight was asked for meanwhile
	}
	s.Arrived = l.now
	return l.noteServed(s), true // its source may be down already
}

// tryStep runs the step's hook in every member, at the step's weight (R24).
func tryStep(l *look, s State) (State, bool) {
	if s.Held || s.NoBaseline || s.Arrived.IsZero() || s.Weight != s.goal(l.plan) {
		return s, false
	}
	return l.askHooks(s, HookStep)
}

// advance takes the next step when this one was held, needs no approval, and is
// judged well. It leaves the last step without a verdict: to bake gives the
// candidate nothing that it has not, and only a verdict ends the bake.
func advance(l *look, s State) (State, bool) {
	switch {
	case !l.settled(s) || s.Held || l.holds(s):
		return s, false
	case s.Step == len(l.plan.Steps)-1:
		return l.bake(s), true
	}
	verdict := l.judge(s)
	if !verdict.well {
		return s, false
	}
	s.Unmeasured = s.Unmeasured || verdict.unmeasured
	return l.enter(s, s.Step+1), true
}

// holds reports whether the step, or the bake, must go on however well it is
// judged: for its time, or for a person.
func (l *look) holds(s State) bool {
	switch {
	case s.Phase == Baking: // R3, R20
		return !s.NoBaseline && l.seen.Newer == nil && l.since(s, s.Since) < l.bakes(s)
	case s.NoBaseline:
		return false
	}
	step := &l.plan.Steps[s.Step]
	return step.Approve || l.since(s, s.Arrived) < step.Hold
}

// settled reports whether the weight of the step is served by enough ready
// candidates, and no hook is awaited.
func (l *look) settled(s State) bool {
	return s.Weight == s.goal(l.plan) && !s.Arrived.IsZero() && s.Unserved.IsZero() &&
		!l.tooShort(s) && !s.awaitsHooks()
}

// since is the time from a moment until now without that in which the weight was
// not known to be served, which is neither hold nor bake (R13).
func (l *look) since(s State, from time.Time) time.Duration { return l.now.Sub(from) - s.Gap }

// served reports whether every member that moves is known to serve its share.
// Workers take no requests: nothing has to arrive.
func (l *look) served(s State) bool {
	if !l.observed() {
		return false
	}
	for i := range l.plan.Members {
		if s.moves(l.plan, i) && !l.plan.Members[i].Worker && l.seen.Members[i].Served != s.share(l.plan, i) {
			return false
		}
	}
	return true
}

// unarrived forgets what was true of the weight, or of the step, before.
func (s State) unarrived() State {
	s.Arrived, s.Gap, s.Unserved, s.Unjudged = time.Time{}, 0, time.Time{}, time.Time{}
	return s
}

// at names a step for people.
func (s State) at(p *Plan, step int) string {
	if s.Held {
		return "held at " + s.HeldAt.String()
	}
	return fmt.Sprintf("step %d of %d: %s", step+1, len(p.Steps), max(s.Weight, p.Steps[step].Weight))
}
