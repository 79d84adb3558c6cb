package rollout

import (
	"fmt"
	"slices"
	"time"
)

const (
	// EnoughInvocations is after how many real invocations of its candidate a function
	// is measured, however long they took to come (R11).
	EnoughInvocations = 20
	// RareBake is how long a function bakes at the most that was called less often (R11).
	RareBake = 7 * 24 * time.Hour
)

// invocations are the counts from which an attempt counts its own; nil where no member
// is a function.
func (l *look) invocations() []uint64 {
	if !slices.ContainsFunc(l.plan.Members, func(m Member) bool { return m.Function }) {
		return nil
	}
	counts := make([]uint64, len(l.plan.Members))
	for i, m := range l.seen.Members {
		counts[i] = m.Invoked
	}
	return counts
}

// rare is the function that was called least often in this attempt, of those whose
// candidate takes traffic and was called less than [EnoughInvocations] times. What is
// not seen at this look was not called.
func (l *look) rare(s State) (member int, calls uint64, ok bool) {
	for i := range l.plan.Members {
		if !l.plan.Members[i].Function || !s.moves(l.plan, i) || s.Stable[i] == 0 {
			continue
		}
		var n uint64
		if l.observed() && i < len(s.Invoked) && l.seen.Members[i].Invoked > s.Invoked[i] {
			n = l.seen.Members[i].Invoked - s.Invoked[i]
		}
		if n < EnoughInvocations && (!ok || n < calls) {
			member, calls, ok = i, n, true
		}
	}
	return member, calls, ok
}

// bakes is how long the bake lasts: as the plan says, and while a function was called
// too seldom to be known, [RareBake] (R11, R20). The old version of a function costs
// nothing while it is idle.
func (l *look) bakes(s State) time.Duration {
	if _, _, rare := l.rare(s); rare {
		return max(l.plan.Bake, RareBake)
	}
	return l.plan.Bake
}

// bakeOf names the bake for people, with what may end it before its time.
func (l *look) bakeOf(s State) string {
	i, calls, rare := l.rare(s)
	if !rare {
		return "the bake"
	}
	return fmt.Sprintf("the bake: %s was called %d of %d times (titrate fn invoke %s calls it; titrate rollout promote %s, or the next push, ends the bake now)",
		l.candidate(i), calls, EnoughInvocations, l.plan.Members[i].Workload, l.plan.App)
}
