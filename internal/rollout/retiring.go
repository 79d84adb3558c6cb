package rollout

// retire ends the rollout when the versions without traffic have drained (R17),
// an old version has been kept as long as asked (R10), and no hook runs.
func retire(l *look, s State) (State, bool) {
	if !l.drained(s) || l.kept(s) || s.hooksRun() {
		return s, false
	}
	return l.to(s, Ended, s.Why), true
}

// drained reports whether nothing is open any more on the versions without
// traffic, or has been cut by now.
func (l *look) drained(s State) bool {
	if l.now.Sub(s.Since) >= l.plan.Drain {
		return true
	}
	for _, m := range l.seen.Members {
		if m.Open > 0 {
			return false
		}
	}
	return l.observed()
}

// kept reports whether the old versions are kept still.
func (l *look) kept(s State) bool {
	return s.Outcome == Promoted && !s.NoBaseline && l.now.Sub(s.Since) < l.plan.Keep
}
