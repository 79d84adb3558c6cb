package rollout

import (
	"fmt"
	"slices"
)

// titrate owns the pauses that no person asked for.
const titrate = "titrate"

// stayPaused moves nothing forward while paused; a pause that has an end is over
// then (R21).
func stayPaused(l *look, s State) (State, bool) {
	if s.Pause == nil {
		return s, false
	}
	if until := s.Pause.Until; !until.IsZero() && !l.now.Before(until) {
		return l.goOn(s, "the pause of "+s.Pause.Owner+" is over"), true
	}
	return s, true
}

// pauseFor stops the rollout until a person says go on. The cause names what
// will not stop it again then; it may be empty.
func (l *look) pauseFor(s State, cause, reason string) State {
	s.Pause = &Pause{Owner: titrate, Reason: reason, Since: l.now, Cause: cause}
	s.Why = "paused: " + reason
	return s
}

// goOn ends a pause. What it was for is waived, and a hook that may have run
// counts as done, in later attempts too: a person has looked.
func (l *look) goOn(s State, why string) State {
	if cause := s.Pause.Cause; cause != "" {
		if !slices.Contains(s.Waived, cause) {
			s.Waived = append(slices.Clone(s.Waived), cause)
		}
		s.Hooks = slices.Clone(s.Hooks)
		for i, h := range s.Hooks {
			if h.Key == cause {
				s.Hooks[i].Done, s.Hooks[i].Waived = true, true
			}
		}
	}
	s.Pause, s.Why = nil, why
	return l.patience(s)
}

// patience waits as long again for a verdict, and for capacity, before the next
// question (R11).
func (l *look) patience(s State) State {
	if !s.Unjudged.IsZero() {
		s.Unjudged = l.now
	}
	if !s.Short.IsZero() {
		s.Short = l.now
	}
	return s
}

// askPerson pauses a step that could not be judged for too long: no data, no
// verdict, no answer from the gateway (R11). A step that waits for a person as it
// is asks nothing.
func askPerson(l *look, s State) (State, bool) {
	if s.Held || s.Unjudged.IsZero() || l.now.Sub(s.Unjudged) < l.plan.NoDataTimeout {
		return s, false
	}
	if !s.Arrived.IsZero() && s.Unserved.IsZero() && l.holds(s) {
		return s, false
	}
	blind := span(l.now.Sub(s.Unjudged))
	return l.pauseFor(s, "", fmt.Sprintf("not judged for %s: %s", blind, l.why(s, l.judge(s)))), true
}
