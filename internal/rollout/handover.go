package rollout

import (
	"fmt"
	"time"
)

// A member that is exclusive has volumes to which one version at a time may write
// (R31). Its versions change places: the one that has the volumes ends, and only
// when the target has shown that nothing of the workload lives does the other come
// up. There is a moment in which neither serves.

// exclusive reports whether member i's versions change places.
func (s State) exclusive(p *Plan, i int) bool {
	return i < len(s.Exclusive) && s.Exclusive[i] && s.moves(p, i)
}

// changesPlaces reports whether those of any member do.
func (s State) changesPlaces(p *Plan) bool {
	for i := range s.Exclusive {
		if s.exclusive(p, i) {
			return true
		}
	}
	return false
}

// changing reports whether a version that had volumes has been asked to end, and
// has not been seen to be gone.
func (s State) changing(p *Plan) bool { return s.Up && !s.Handed && s.changesPlaces(p) }

// gap reports whether a candidate takes the place of stable, and neither serves.
// Who waits for a person then waits without traffic.
func (s State) gap(p *Plan) bool { return s.Phase == Starting && s.Up && s.changesPlaces(p) }

// goesBack reports whether a version has to be brought up again before the rollout
// can end without promotion.
func (s State) goesBack(p *Plan) bool {
	for i := range s.Exclusive {
		if s.Up && s.exclusive(p, i) && s.Stable[i] != 0 {
			return true
		}
	}
	return false
}

// handOver writes down that nothing lives any more that could write to the volumes:
// the version that is to have them next may come up.
func handOver(l *look, s State) (State, bool) {
	if !s.changing(l.plan) || !l.freed(s) {
		return s, false
	}
	s.Handed, s.Since = true, l.now
	if s.Phase == Starting {
		s.Why = "the volumes are free; the candidates come up"
	}
	return s, true
}

// freed reports whether every exclusive member is seen to have no instance.
func (l *look) freed(s State) bool {
	if !l.observed() {
		return false
	}
	for i, m := range l.seen.Members {
		if s.exclusive(l.plan, i) && !m.Free {
			return false
		}
	}
	return true
}

// restored reports whether the versions that were to come up again serve, or had
// the time for it: a newer rollout may mend what keeps them down.
func (l *look) restored(s State) bool {
	if !s.goesBack(l.plan) {
		return true
	}
	if !s.Handed {
		return false
	}
	return l.now.Sub(s.Since) >= l.plan.StartTimeout || l.unrestored(s) < 0
}

// unrestored is the first exclusive member whose stable version is not ready; -1: none.
func (l *look) unrestored(s State) int {
	for i := range l.plan.Members {
		if s.exclusive(l.plan, i) && s.Stable[i] != 0 && (!l.observed() || l.seen.Members[i].StableReady == 0) {
			return i
		}
	}
	return -1
}

// endPatience is how long, beyond the drain, a version may take to end before a
// person should see to the node.
const endPatience = time.Minute

// waitGone is what a rollout waits for until the volumes are free.
func (l *look) waitGone(s State) Wait {
	w := Wait{For: "all instances to end, so that none writes to their volumes", Then: "the candidates come up"}
	if s.Back != nil {
		w.Then = "the stable version comes up again"
	}
	for i, m := range l.plan.Members {
		switch {
		case !s.exclusive(l.plan, i) || l.observed() && l.seen.Members[i].Free:
		case s.Back != nil:
			w.For = fmt.Sprintf("%s to end, so that %s can have its volumes", l.candidate(i), s.Stable[i])
		case s.Stable[i] != 0:
			w.For = fmt.Sprintf("%s %s to end, so that %s can have its volumes", m.Workload, s.Stable[i], m.Candidate)
		}
	}
	return l.orPerson(w, s.Since.Add(l.plan.Drain+endPatience))
}

// waitRestored is what a rollout waits for when stable has its volumes back.
func (l *look) waitRestored(s State) Wait {
	w := Wait{For: "the stable version to be ready again", Until: s.Since.Add(l.plan.StartTimeout), Then: "it is " + string(s.Back.Outcome)}
	if i := l.unrestored(s); i >= 0 {
		w.For = fmt.Sprintf("%s %s to be ready again", l.plan.Members[i].Workload, s.Stable[i])
	}
	return w
}
