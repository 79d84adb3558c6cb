package rollout

import (
	"fmt"
	"slices"
)

// A step of a group with Plan.Waves is written so many members at a time, in their
// order: the next ones when every gateway loop serves what the ones before were given.
// So no more than so many change at the same time, and what is given is State.Shares.
// A pause does not stop a step on that way: until the last has arrived nothing of it is
// judged. What goes back goes at once.

// inWaves reports whether the rollout's weights are written in waves, and not all in
// one. Versions that change places come and go together (R31).
func (s State) inWaves(p *Plan) bool {
	return p.Waves > 0 && p.Waves < len(p.Members) && !s.changesPlaces(p)
}

// given is what member i's candidate was given of the weight.
func (s State) given(i int) Weight {
	if i < len(s.Shares) {
		return s.Shares[i]
	}
	return s.Weight
}

// most is the greatest weight that a candidate was given.
func (s State) most() Weight {
	if s.Shares == nil {
		return s.Weight
	}
	return slices.Max(s.Shares)
}

// least is the least weight that a candidate was given.
func (s State) least() Weight {
	if s.Shares == nil {
		return s.Weight
	}
	return slices.Min(s.Shares)
}

// firstWave gives the first members the weight of a step, when all serve what they were
// given before: a weight that is asked for in the middle of another waits for the wave
// that is under way.
func (l *look) firstWave(s State, goal Weight) (State, bool) {
	if !l.served(s) {
		return s, false
	}
	shares := make([]Weight, len(l.plan.Members))
	for i := range shares {
		shares[i] = s.given(i)
	}
	next := s
	next.Weight, next.Shares, next.Took = goal, shares, true
	if next, ok := l.nextWave(next); ok {
		return next, true
	}
	return s, false
}

// nextWave gives the weight to the next members that do not have it, as soon as the
// versions that gain by it can carry their share (R5).
func (l *look) nextWave(s State) (State, bool) {
	shares, wave, left := slices.Clone(s.Shares), 0, 0
	for i := range shares {
		switch {
		case shares[i] == s.Weight || !s.moves(l.plan, i):
			shares[i] = s.Weight
		case wave == l.plan.Waves:
			left++
		case !l.canTake(s, i, s.Weight):
			return s, false
		default:
			shares[i] = s.Weight
			wave++
		}
	}
	s.Shares, s.Why = shares, s.at(l.plan, s.Step)
	if left == 0 {
		s.Shares = nil
	} else {
		s.Why += fmt.Sprintf(", %d of %d members", len(shares)-left, len(shares))
	}
	return s.unarrived(), true
}

// canTake reports whether the version of member i that gains by weight w can carry it.
func (l *look) canTake(s State, i int, w Weight) bool {
	switch was := s.given(i); {
	case !l.observed():
		return false
	case w > was:
		return l.seen.Members[i].Ready >= s.needs(l.plan, i, w)
	default:
		return l.stableOfCarries(s, i, Full-w)
	}
}
