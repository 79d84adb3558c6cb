package rollout

import "time"

// Going back waits for stable's capacity no longer than this (R5): a candidate
// that is taken back is worse than a stable version that is short.
const returnPatience = 10 * time.Second

// Each stage of a gradual way back lasts so long (R22).
const gradualStage = 10 * time.Second

// goBack decides that the rollout ends without promotion, and why. If users have
// seen a candidate, traffic is taken back first; it never comes to that before.
func (l *look) goBack(s State, b Back) State {
	b.Since, b.From = l.now, s.most()
	if b.Outcome == RolledBack && !s.Took {
		b.Outcome = Failed
	}
	s.Back, s.Pause, s.Handed = &b, nil, false
	switch {
	case s.Phase == Queued:
		return l.gone(s, Ended)
	case !s.Took && !s.goesBack(l.plan):
		return l.gone(s, Retiring)
	}
	s, _ = takeBack(l, l.to(s, Returning, b.Why)) // at this look already, if stable can carry it
	return s
}

// takeBack takes the weight from all candidates at once, or from the one that is
// why if only the others' stable versions are not ready (R23); through the steps in
// reverse if the plan says so and an alarm, not a failure or a person, is why.
func takeBack(l *look, s State) (State, bool) {
	if s.most() == 0 {
		return s, false
	}
	waited := l.now.Sub(s.Since)
	to := Weight(0)
	if s.changesPlaces(l.plan) { // stable cannot come up while the candidate lives
		return l.taken(s, 0), true
	}
	if l.plan.Gradual && s.Back.Evidence != nil && !s.Back.Hurried {
		if s.most() < s.Back.From && waited < gradualStage {
			return s, false
		}
		to = min(l.plan.below(s.most()), s.least()) // in the middle of a step down, too, nobody gets more
	}
	// What gives way is healthy: it keeps its traffic until stable can carry it (R3).
	patient := s.Back.Outcome == Superseded || waited < returnPatience
	if patient && !l.stableCarries(s, Full-to) {
		return l.goAhead(s, to)
	}
	return l.taken(s, to), true
}

// taken leaves so much with the candidates: with all at once, in one table, also where
// they came in waves (R23).
func (l *look) taken(s State, to Weight) State {
	s.Weight, s.Shares, s.Since = to, nil, l.now
	return s.unarrived()
}

// goAhead takes all traffic from the member that is why, as soon as its own stable
// version can carry it. The others' patience runs on.
func (l *look) goAhead(s State, to Weight) (State, bool) {
	i := s.Back.Member
	if to > 0 || i < 0 || s.ahead(i) || !l.observed() || !l.stableOfCarries(s, i, Full) {
		return s, false
	}
	back := *s.Back
	back.Ahead, s.Back = true, &back
	return s, true
}

// ahead reports whether member i's traffic is back before that of the others.
func (s State) ahead(i int) bool { return s.Back != nil && s.Back.Ahead && s.Back.Member == i }

// below is the greatest weight of a step that is less than w, or 0.
func (p *Plan) below(w Weight) Weight {
	less := Weight(0)
	for _, step := range p.Steps {
		if step.Weight < w {
			less = max(less, step.Weight)
		}
	}
	return less
}

// worsen stops the patience with a candidate that gives way to a newer release
// but fails meanwhile: it is rolled back, and so will not be tried again (R9).
func worsen(l *look, s State) (State, bool) {
	if s.Back.Outcome != Superseded || s.most() == 0 {
		return s, false
	}
	for f := range l.faults(s) {
		if !f.asks {
			return l.goBack(s, f.back()), true
		}
	}
	return s, false
}

// comeBack gives the outcome when every gateway loop has taken all traffic from
// the candidates, and what changed places is back.
func comeBack(l *look, s State) (State, bool) {
	if s.most() > 0 || !l.served(s) || !l.restored(s) {
		return s, false
	}
	if s.Took {
		s, _ = l.askHooks(s, HookOnRollback)
	}
	return l.gone(s, Retiring), true
}

// gone gives a rollout that was not promoted its outcome.
func (l *look) gone(s State, phase Phase) State {
	s.Outcome, s.Held, s.HeldAt = s.Back.Outcome, false, 0
	return l.to(s, phase, s.Back.Why)
}
