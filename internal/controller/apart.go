package controller

import (
	"maps"
	"slices"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// apart takes from what is wanted of a workload all that must not run beside the rest
// of it (R31). While versions change places that is everything but what the rollout
// wishes; otherwise it is what clashes with stable, such as a version before it that
// an earlier rollout would keep until it has drained: it drains all the same.
func (m *memory) apart(w *work, wl *world.Workload, counts map[rollout.Version]int) {
	if l := m.active(w.Key); l != nil {
		wish := l.wish.Members[l.index(w.Key.Workload)]
		if wish.Exclusive {
			clear(counts)
			counts[wish.Stable] += wish.StableInstances
			counts[wish.Candidate] += wish.CandidateInstances
			if slices.ContainsFunc(wl.Split, func(s world.Share) bool { return counts[s.Version] == 0 }) {
				wl.Split = nil // nothing serves
			}
			return
		}
	}
	for v := range counts {
		if v != w.Stable && w.clash(v, w.Stable) {
			delete(counts, v)
		}
	}
}

// clash reports whether two versions must not run at the same time.
func (w *work) clash(a, b rollout.Version) bool {
	x, y := w.versions[a], w.versions[b]
	return x != nil && y != nil && x.Config.Volumes.Clash(y.Config.Volumes)
}

// exclusive reports whether a version has to change places with the stable one.
func (w *work) exclusive(n rollout.Version) bool {
	v := w.versions[n]
	return v != nil && w.changesPlaces(*v)
}

func (w *work) changesPlaces(v rollout.VersionRecord) bool {
	if v.Config.Volumes.Exclusive() || w.stable() != nil && w.stable().Config.Volumes.Exclusive() {
		return true
	}
	// One that was tried before any was stable may not have ended yet.
	return w.Stable == 0 && slices.ContainsFunc(slices.Collect(maps.Values(w.versions)), func(o *rollout.VersionRecord) bool { return o.Config.Volumes.Exclusive() })
}

// downtime tells a person that nothing serves while a version takes the place of the
// stable one; empty: something does, or nothing did before.
func (w *work) downtime(v rollout.VersionRecord) string {
	if w.Stable == 0 || !w.changesPlaces(v) {
		return ""
	}
	return "a volume takes one writer: " + w.Stable.String() + " ends before it starts, and nothing serves in between"
}
