package rollout

import "fmt"

// bake begins when the candidates have all traffic: the old versions stay warm,
// and the alarms armed (R20).
func (l *look) bake(s State) State {
	s.Gap = 0
	if !s.Unserved.IsZero() {
		s.Unserved = l.now
	}
	s = l.to(s, Baking, fmt.Sprintf("it has all traffic and bakes for %s", span(l.plan.Bake)))
	s, _ = l.askHooks(s, HookPostTraffic)
	return s
}

// promote ends a bake that is over, or that a newer rollout waits for, if it is
// judged well (R3, R20). A first release has nothing to be compared with and
// nothing to keep warm: its health is its bake (R2).
func promote(l *look, s State) (State, bool) {
	verdict := l.judge(s)
	if !l.settled(s) || l.holds(s) || !verdict.well {
		return s, false
	}
	_, _, rare := l.rare(s)
	s.Unmeasured = s.Unmeasured || verdict.unmeasured || rare
	return l.promoted(s), true
}

// promoted ends the rollout well.
func (l *look) promoted(s State) State {
	why := "promoted"
	switch {
	case s.NoBaseline:
		why = "promoted: a first release, no baseline"
	case s.Unmeasured:
		why = "promoted, unmeasured: on health checks alone"
	}
	s.Outcome, s.Pause = Promoted, nil
	return l.to(s, Retiring, why)
}
