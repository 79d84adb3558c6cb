package rollout

import (
	"fmt"
	"slices"
)

// abort takes all traffic back, whatever else was asked before (R6). Asked again,
// or when nothing is in progress, it does nothing.
func abort(l *look, s State) (State, bool) {
	i := slices.IndexFunc(l.seen.Commands, func(c Command) bool { return c.Verb == Abort && c.ID > s.Command })
	if i < 0 {
		return s, false
	}
	c := l.seen.Commands[i]
	s.Command, s.Refused = c.ID, ""
	why := "aborted by " + c.By
	if c.Reason != "" {
		why += ": " + c.Reason
	}
	switch {
	case s.Outcome == Promoted:
		s.Refused = "it is promoted already; `titrate rollback` goes to the version before"
	case s.Over():
	case s.Phase == Returning:
		return l.hurry(s, why)
	default:
		return l.goBack(s, Back{Outcome: Aborted, Member: -1, Why: why}), true
	}
	return s, false
}

// hurry ends the patience of a way back. What was to be superseded is aborted
// now; what was rolled back keeps its reason.
func (l *look) hurry(s State, why string) (State, bool) {
	back := *s.Back
	back.Hurried = true
	if back.Outcome == Superseded {
		back.Outcome, back.Why, s.Why = Aborted, why, why
	}
	s.Back = &back
	return takeBack(l, s)
}

// obey carries out the oldest command that was not looked at yet: one a look. It
// refuses one that makes no sense now with a sentence; the look goes on then, so
// that a stream of such commands stops nothing.
func obey(l *look, s State) (State, bool) {
	i := slices.IndexFunc(l.seen.Commands, func(c Command) bool { return c.ID > s.Command })
	if i < 0 {
		return s, false
	}
	c := l.seen.Commands[i]
	if c.Verb == Retry && !l.observed() {
		return s, false // an attempt counts restarts from what is seen at its beginning
	}
	s.Command, s.Refused = c.ID, ""
	next, refused := l.carryOut(s, c)
	if refused != "" {
		s.Refused = refused
		return s, false
	}
	return next, true
}

func (l *look) carryOut(s State, c Command) (next State, refused string) {
	switch s.Phase {
	case Returning, Retiring, Ended:
		return s, fmt.Sprintf("cannot %s: %s", c.Verb, s.Why)
	case Queued, Starting, Shifting, Baking:
	}
	switch c.Verb {
	case PauseVerb:
		if s.gap(l.plan) {
			return s, "its versions change places and nothing serves; pause it when the new one does, or abort it"
		}
		return l.pause(s, c), ""
	case Resume:
		return l.resume(s, c)
	case Promote:
		return l.nextStep(s, c)
	case PromoteFull:
		return l.allSteps(s, c)
	case SetWeight:
		return l.setWeight(s, c)
	case Retry:
		return l.retry(s, c)
	case Abort: // see abort
	}
	return s, fmt.Sprintf("%q is no command", c.Verb)
}

// pause replaces a pause that there is: the last to speak owns it.
func (l *look) pause(s State, c Command) State {
	s.Pause = &Pause{Owner: c.By, Reason: c.Reason, Since: l.now}
	if c.For > 0 {
		s.Pause.Until = l.now.Add(c.For)
	}
	s.Why = "paused by " + c.By
	if c.Reason != "" {
		s.Why += ": " + c.Reason
	}
	return s
}

// resume ends a pause, and a held weight: the step nearest below it goes on, at
// the weight that it has.
func (l *look) resume(s State, c Command) (State, string) {
	if s.Pause == nil && !s.Held {
		return s, "it is not paused"
	}
	return l.free(s, "resumed by "+c.By), ""
}

// free ends all that a person may have stopped.
func (l *look) free(s State, why string) State {
	stopped := s.Held || s.Pause != nil
	if s.Pause != nil {
		s = l.goOn(s, why)
	}
	s.Held, s.HeldAt, s.Why = false, 0, why
	if stopped {
		s = l.patience(s)
	}
	return s
}

// nextStep approves: it skips the hold and the verdict, but neither capacity (R5)
// nor an alarm that fails, which trips before a command is looked at.
func (l *look) nextStep(s State, c Command) (State, string) {
	why := "promoted by " + c.By
	arrived := !s.Arrived.IsZero() && s.Weight == s.goal(l.plan)
	switch {
	case s.Pause != nil && !arrived:
		return l.free(s, why), "" // it goes on, but there is nothing to skip yet
	case s.Phase == Queued:
		return s, "it waits for its turn"
	case s.Phase == Starting:
		return s, "its candidates are not ready yet; it goes on by itself"
	case !arrived:
		return s, s.at(l.plan, s.Step) + " has not arrived yet"
	case s.Phase == Baking && l.tooShort(s):
		return s, "a candidate has too few ready instances"
	}
	s = l.free(s, why)
	next := s.Step + 1
	if s.goal(l.plan) > s.Weight { // it was held below its first step
		next = s.Step
	}
	switch {
	case s.Phase == Baking:
		return l.promoted(s), ""
	case next == len(l.plan.Steps):
		return l.bake(s), ""
	}
	return l.enter(s, next), ""
}

// allSteps goes to all traffic as soon as the capacity is there.
func (l *look) allSteps(s State, c Command) (State, string) {
	last := len(l.plan.Steps) - 1
	switch {
	case s.Phase == Queued:
		return s, "it waits for its turn"
	case s.Phase == Starting:
		s = l.free(s, "promoted to the last step by "+c.By)
		s.Step = last
		return s, ""
	case s.Phase == Baking, s.Step == last && !s.Held:
		return l.nextStep(s, c)
	}
	return l.enter(l.free(s, ""), last), ""
}

// setWeight holds the rollout at a weight, until it is promoted or resumed.
func (l *look) setWeight(s State, c Command) (State, string) {
	switch {
	case c.Weight < 0 || c.Weight > Full:
		return s, "a weight is between 0 % and 100 %"
	case s.Phase == Baking:
		return s, "it has all traffic and bakes; abort takes it back"
	case s.Phase != Shifting:
		return s, "it takes no traffic yet"
	case c.Weight < Full && s.changesPlaces(l.plan):
		return s, "its versions change places: they never share traffic"
	case c.Weight < Full && s.baseless():
		return s, "a member has no version before this one to share traffic with"
	}
	s = l.free(s, "")
	step := 0
	for i := range l.plan.Steps {
		if l.plan.Steps[i].Weight <= c.Weight {
			step = i
		}
	}
	s.Held, s.HeldAt = true, c.Weight
	return l.enter(s, step), ""
}

// retry begins a new attempt from 0 % (R7).
func (l *look) retry(s State, c Command) (State, string) {
	switch {
	case s.Phase == Queued:
		return s, "it has not begun"
	case c.Step < 0 || c.Step >= len(l.plan.Steps):
		return s, fmt.Sprintf("it has steps 1 to %d", len(l.plan.Steps))
	case s.most() > 0 && s.changesPlaces(l.plan):
		return s, "its versions change places: no other runs that could take the traffic back; abort it, then try it again"
	case s.most() > 0 && s.baseless():
		return s, "a member has no version before this one to give its traffic back to"
	case s.most() > 0 && !l.stableCarries(s, Full):
		return s, "the stable version has too few ready instances to take the traffic back"
	}
	return l.attempt(s, s.Attempt+1, c.Step, "tried again by "+c.By), ""
}
