package controller

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// Wanted returns the world that the stored states want now: every workload with
// the versions that should run and the split of its traffic. It follows from
// what is stored alone, so that asking after a crash asks for the same (R19).
func (c *Controller) Wanted() world.Wanted {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.memory.wanted(&c.secrets)
	w.Stamp = world.Stamp{Token: c.token, Revision: c.want.revision}
	w.PreviewKey = c.PreviewKey
	return w
}

// wanted derives again only what has changed: what one decision changes must not
// cost more where ten thousand workloads run.
func (m *memory) wanted(s *secretCache) world.Wanted {
	if m.sorted == nil {
		m.sorted = slices.SortedFunc(maps.Values(m.works), func(a, b *work) int { return compareKeys(a.Key, b.Key) })
	}
	all := world.Wanted{Workloads: make([]world.Workload, 0, len(m.sorted))}
	for _, w := range m.sorted {
		if !w.named || w.Stable == 0 && len(m.byKey[w.Key]) == 0 {
			continue
		}
		if w.wanted == nil {
			wl := m.workload(w, s)
			w.wanted = &wl
		}
		all.Workloads = append(all.Workloads, *w.wanted)
	}
	m.yield(all.Workloads)
	for _, id := range m.order {
		all.Hooks = append(all.Hooks, m.hooks(m.live[id], s)...)
	}
	all.Accessories = m.wantedAccessories(s)
	return all
}

func compareKeys(a, b rollout.Key) int {
	return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Env, b.Env), cmp.Compare(a.Workload, b.Workload))
}

// workload merges what the rollouts of one workload want. One of them at most
// moves its traffic; the others only keep a version until it has drained.
func (m *memory) workload(w *work, s *secretCache) world.Workload {
	set := w.settings()
	wl := world.Workload{Key: w.Key, Worker: set.Worker, Hosts: set.Hosts, Routes: set.Routes, Triggers: set.Triggers, Paths: set.Paths, Match: set.Match, Maintenance: set.Maintenance}
	wl.Stable, wl.Shield500 = w.Stable, set.Shield500
	counts := map[rollout.Version]int{}
	if w.Stable != 0 {
		counts[w.Stable] = set.Instances
		wl.Split = []world.Share{{Version: w.Stable, Weight: rollout.Full}}
	}
	for _, l := range m.byKey[w.Key] {
		wish := l.wish.Members
		i := l.index(w.Key.Workload)
		if i >= len(wish) {
			continue
		}
		if l.State.Over() {
			keep(counts, wish[i].Stable, wish[i].StableInstances, w.Stable)
			keep(counts, wish[i].Candidate, wish[i].CandidateInstances, w.Stable)
			continue
		}
		if l.State.Phase == rollout.Queued {
			continue
		}
		wl.Rollout, wl.Attempt = l.Plan.Rollout, l.State.Attempt
		if l.Plan.Kind != rollout.Rollback { // what it leaves was bad too, and a person chose (R8)
			wl.Damage = l.Plan.Damage
		}
		if wl.Worker || w.answers(wish[i].Candidate) {
			wl.Split = split(wish[i])
		}
		if wish[i].Stable != 0 {
			counts[wish[i].Stable] = max(counts[wish[i].Stable], wish[i].StableInstances)
		}
		counts[wish[i].Candidate] = max(counts[wish[i].Candidate], wish[i].CandidateInstances)
	}
	m.apart(w, &wl, counts)
	for _, v := range slices.Sorted(maps.Keys(counts)) {
		if r := w.versions[v]; r != nil && !r.Config.Worker {
			// Also before it runs, and while it does not.
			if port := rollout.OwnPort(r.Config.Port, r.Artifact.Image); !slices.Contains(wl.Ports, port) {
				wl.Ports = append(wl.Ports, port)
			}
		}
		if counts[v] > 0 {
			wl.Fleets = append(wl.Fleets, w.fleet(v, counts[v], s))
		}
	}
	return wl
}

// keep asks for a version that a finished rollout lets drain. How many of the
// stable version run is not its matter any more.
func keep(counts map[rollout.Version]int, v rollout.Version, n int, stable rollout.Version) {
	if v != 0 && v != stable {
		counts[v] = max(counts[v], n)
	}
}

// answers reports whether a version takes requests. A candidate that does not leaves
// them to stable until it is promoted.
func (w *work) answers(n rollout.Version) bool {
	v := w.versions[n]
	return v == nil || !v.Config.Worker
}

// split turns a candidate's weight into shares.
func split(w rollout.MemberWish) []world.Share {
	var shares []world.Share
	if rest := rollout.Full - w.Weight; rest > 0 && w.Stable != 0 {
		shares = append(shares, world.Share{Version: w.Stable, Weight: rest})
	}
	if w.Weight > 0 {
		shares = append(shares, world.Share{Version: w.Candidate, Weight: w.Weight})
	}
	return shares
}

func (w *work) fleet(v rollout.Version, count int, s *secretCache) world.Fleet {
	// The target gives up a little before the core does, so that what it saw is
	// what the person reads (R14).
	f := world.Fleet{Version: v, Count: count, Drain: w.Settings.Drain, StartTimeout: nodePatience(w.Settings.StartTimeout)}
	r := w.versions[v]
	if r == nil {
		return f
	}
	f.Artifact, f.Command, f.Image, f.Env = r.Artifact.Digest, r.Artifact.Command, r.Artifact.Image, r.Config.Env
	f.Port, f.Health, f.Worker, f.Uses = r.Config.Port, r.Config.Health, r.Config.Worker, r.Config.Uses
	f.Addresses, f.Limits, f.ReadOnly, f.Volumes = r.Config.Addresses, r.Config.Limits, r.Config.ReadOnly, r.Config.Volumes
	if f.Volumes.Exclusive() {
		f.Count = min(f.Count, 1) // whatever the scale of the newest manifest is
	}
	if run := r.Config.Function; run != nil {
		found := *run
		found.Runtime, found.Handler = cmp.Or(run.Runtime, r.Artifact.Runtime), cmp.Or(run.Handler, r.Artifact.Handler)
		f.Function, f.Scale = &found, w.Settings.Scale
	}
	f.Release, f.Commit, f.Secrets, f.Accessories = r.Release, r.Commit, s.of(*r), r.Config.Accessories
	return f
}

// hooks are the commands that a rollout asked for and that have not ended: each
// runs with the environment of its member's candidate.
func (m *memory) hooks(l *live, s *secretCache) []world.Hook {
	var all []world.Hook
	for _, h := range l.wish.Hooks {
		k := l.Plan.Key(h.Member)
		all = append(all, world.Hook{
			Key: h.Key, Workload: k, Kind: h.Kind, Command: h.Command, Timeout: l.Plan.HookTimeout,
			Fleet: m.works[k].fleet(l.Plan.Members[h.Member].Candidate, 0, s), Rollout: l.Plan.Rollout,
		})
	}
	return all
}

// nodePatience is how long a node waits for an instance: less than the rollout
// does, so that the node's reason why it is not ready comes before the rollout's
// own end of patience, which knows none.
func nodePatience(start time.Duration) time.Duration {
	return start - max(start/20, min(2*time.Second, start/4))
}
