package controller

import (
	"slices"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// claimed refuses a host and route on which another app answers already: a push
// must not take the traffic of an app that it is not of (R28). Within one app the
// manifest sees to it.
func (p *proposal) claimed(k rollout.Key, s rollout.Settings) error {
	for _, w := range p.memory.works {
		if w.named && w.Key.App != k.App && samePlace(w.Settings.Hosts, w.Settings.Routes, s.Hosts, s.Routes) {
			return problem(Conflict, "write another host or route for "+k.Workload+" in titrate.yaml",
				"%s%s leads to %s of app %s already, not to %s", s.Hosts[0], s.Routes[0], w.Key.Workload, w.Key.App, k.Workload)
		}
	}
	return nil
}

// yield lets a workload that the manifest names no more keep its host and route
// until the one that the manifest puts there takes traffic (R28).
func (m *memory) yield(all []world.Workload) {
	for i := range all {
		o := &all[i]
		if m.works[o.Key].Orphaned == 0 {
			continue
		}
		heir := func(w world.Workload) bool {
			return len(w.Split) > 0 && w.Key.App == o.Key.App && m.works[w.Key].Orphaned == 0 &&
				samePlace(w.Hosts, w.Routes, o.Hosts, o.Routes)
		}
		if slices.ContainsFunc(all, heir) {
			o.Hosts, o.Routes = nil, nil
		}
	}
}

// samePlace reports whether two workloads answer on one host and route.
func samePlace(hostsA, routesA, hostsB, routesB []string) bool {
	return len(hostsA) > 0 && slices.Equal(hostsA, hostsB) && slices.Equal(routesA, routesB)
}
