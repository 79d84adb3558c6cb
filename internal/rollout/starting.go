package rollout

import "time"

// attempt begins an attempt: candidates at 0 %, judged only on what is measured
// from now on (R7). It needs a look that has observed the world.
func (l *look) attempt(s State, number, step int, why string) State {
	if s.NoBaseline || s.changesPlaces(l.plan) { // there is nothing to share the traffic with
		step = len(l.plan.Steps) - 1
	}
	s.Restarts = make([]int, len(l.plan.Members))
	for i, m := range l.seen.Members {
		s.Restarts[i] = m.Restarts
	}
	s.Invoked = l.invocations()
	s.Attempt, s.Step, s.Began, s.Weight, s.Shares = number, step, l.now, 0, nil
	s = s.unarrived()
	s.Short, s.Unmeasured = time.Time{}, false
	s.Pause, s.Held, s.HeldAt, s.Waived = nil, false, 0, nil
	return l.to(s, Starting, why)
}

// bringUp lets the candidates come up when the release hooks, such as a change
// of a database's tables, are done.
func bringUp(l *look, s State) (State, bool) {
	if s.Up {
		return s, false
	}
	s.Up = true
	if s.changesPlaces(l.plan) {
		s.Since, s.Why = l.now, "the versions change places; nothing serves until the candidates are ready"
	}
	return s, true
}

// goLive takes the first step as soon as the candidates can carry it and their
// preTraffic hooks have passed.
func goLive(l *look, s State) (State, bool) {
	if !s.Short.IsZero() || s.changing(l.plan) {
		return s, true
	}
	if asked, any := l.askHooks(s, HookPreTraffic); any {
		asked.Why = "the candidates are ready; their preTraffic hooks run"
		return asked, true
	}
	s.Phase = Shifting
	return l.enter(s, s.Step), true
}
