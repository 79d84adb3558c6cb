package rollout

import "slices"

// moves reports whether member i has anything to move: its candidate, or the same
// under another number, may have become stable while the rollout waited (R1).
func (s State) moves(p *Plan, i int) bool {
	return s.Stable[i] != p.Members[i].Candidate && !s.Unmoved(i)
}

// goal is the weight that the rollout is on its way to.
func (s State) goal(p *Plan) Weight {
	if s.Held {
		return s.HeldAt
	}
	// A person may have left a weight above the step's: it is not taken back.
	return max(p.Steps[s.Step].Weight, s.Weight)
}

// share is the part of member i's traffic that its candidate should have at the
// rollout's weight. With no stable version there is nothing to share with (R2).
func (s State) share(p *Plan, i int) Weight {
	w := s.given(i)
	switch {
	case !s.moves(p, i) || s.ahead(i):
		return 0
	case s.Stable[i] == 0 && w > 0:
		return Full
	}
	return w
}

// needs is how many candidates of member i must be ready for weight w (R5). At
// 0 % one is needed, to try it; blue-green wants all before any traffic (R10).
func (s State) needs(p *Plan, i int, w Weight) int {
	n := p.Members[i].Instances
	switch {
	case !s.moves(p, i):
		return 0
	case p.FullCapacity || s.Stable[i] == 0:
		return n
	}
	return max(w.Instances(n), 1)
}

// candidatesCarry reports whether every candidate can carry weight w.
func (l *look) candidatesCarry(s State, w Weight) bool {
	if !l.observed() {
		return false
	}
	for i, m := range l.seen.Members {
		if m.Ready < s.needs(l.plan, i, w) {
			return false
		}
	}
	return true
}

// stableCarries reports whether every stable version can carry weight w. One
// that does not exist is not waited for.
func (l *look) stableCarries(s State, w Weight) bool {
	if !l.observed() {
		return false
	}
	for i := range l.plan.Members {
		if s.moves(l.plan, i) && !s.ahead(i) && !l.stableOfCarries(s, i, w) {
			return false
		}
	}
	return true
}

// stableOfCarries reports whether the stable version of member i can carry weight w.
func (l *look) stableOfCarries(s State, i int, w Weight) bool {
	return s.Stable[i] == 0 || l.seen.Members[i].StableReady >= w.Instances(l.plan.Members[i].Instances)
}

// baseless reports whether a member has no version to give traffic back to.
func (s State) baseless() bool { return slices.Contains(s.Stable, 0) }

// tooShort reports whether a candidate has too few ready instances, and no
// person said to go on in spite of it.
func (l *look) tooShort(s State) bool {
	return !s.Short.IsZero() && !l.waived(s, l.shortage(s))
}

// shortest is the first member whose candidate has too few ready instances.
func (l *look) shortest(s State) (member, ready, needs int) {
	for i := range l.plan.Members {
		if l.observed() {
			ready = l.seen.Members[i].Ready
		}
		needs = s.needs(l.plan, i, max(s.goal(l.plan), s.most()))
		if ready < needs {
			return i, ready, needs
		}
	}
	return 0, ready, needs
}

// observed reports whether the world was seen at this look at all.
func (l *look) observed() bool { return len(l.seen.Members) == len(l.plan.Members) }
