package controller

import (
	"fmt"
	"slices"
	"strings"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// WorkloadStatus is what is known of a workload now: three facts, never one.
type WorkloadStatus struct {
	Key     rollout.Key `json:"key"`
	Health  Health      `json:"health"` // is it serving well
	Outcome Ending      `json:"outcome"`
	Sync    Sync        `json:"sync"` // does what runs match what was asked for

	Stable    rollout.Version  `json:"stable"`
	Candidate rollout.Version  `json:"candidate,omitempty"`
	Rollout   int64            `json:"rollout,omitempty"` // in progress
	Phase     rollout.Phase    `json:"phase,omitempty"`
	Versions  []VersionStatus  `json:"versions"`
	Waits     *rollout.Wait    `json:"waits,omitempty"`
	Instances []world.Instance `json:"instances"`
	Wanted    int              `json:"wanted"`             // instances that carry all of its traffic
	Refused   rollout.Version  `json:"refused,omitempty"`  // that is not tried again by itself; 0: there is none
	Orphaned  rollout.Release  `json:"orphaned,omitempty"` // the release that names it no more (R28)
	Hosts     []string         `json:"hosts,omitempty"`
	Routes    []string         `json:"routes,omitempty"`
}

// Health says whether a workload serves well.
type Health struct {
	State HealthState `json:"state"`
	Why   string      `json:"why,omitempty"`
}

// HealthState is one of the states of health.
type HealthState string

// The states of health.
const (
	Healthy   HealthState = "healthy"
	Degraded  HealthState = "degraded"  // fewer ready instances than its traffic takes, or a function whose calls fail
	Unhealthy HealthState = "unhealthy" // has traffic, and nothing to serve it with
	Starting  HealthState = "starting"  // has never served
	Unknown   HealthState = "unknown"   // the target cannot be observed
)

// Ending says how the last rollout of a workload ended; empty when none has.
type Ending struct {
	Outcome rollout.Outcome `json:"outcome,omitempty"`
	Version rollout.Version `json:"version,omitempty"`
	Why     string          `json:"why,omitempty"`
}

// Sync says whether what runs matches what was asked for.
type Sync struct {
	State SyncState `json:"state"`
	Why   string    `json:"why,omitempty"` // "r42 rolled back, r41 kept"
}

// SyncState is one of the states of sync.
type SyncState string

// The states of sync.
const (
	AsAsked SyncState = "as asked"
	Moving  SyncState = "moving"            // a rollout is in progress
	Late    SyncState = "behind on purpose" // the newest version is refused (R9)
	Unasked SyncState = "orphaned"          // the manifest names it no more (R28)
	Pending SyncState = "pending"           // the hands have not acknowledged what is wanted
)

// VersionStatus is one version of a workload that has instances or traffic.
type VersionStatus struct {
	Version  rollout.Version `json:"version"`
	Release  rollout.Release `json:"release"`
	Commit   string          `json:"commit,omitempty"`
	Asked    rollout.Weight  `json:"asked"`    // its share of the traffic
	Served   rollout.Weight  `json:"served"`   // as the router gives it in fact; -1: not known
	Observed float64         `json:"observed"` // its share of the requests measured last; -1: none were
	Ready    int             `json:"ready"`
	Count    int             `json:"count"` // wanted instances
	Restarts int             `json:"restarts"`
	Open     int             `json:"open"`
	Failure  string          `json:"failure,omitempty"`
	Refused  string          `json:"refused,omitempty"`
}

// Status returns the status of the workloads of an app in an environment, empty
// for all, by key.
func (c *Controller) Status(app, env string) []WorkloadStatus {
	c.mu.RLock()
	defer c.mu.RUnlock()
	all := []WorkloadStatus{}
	for _, w := range c.memory.in(app, env) {
		all = append(all, c.status(w))
	}
	return all
}

// Live returns the rollouts that have not ended, oldest first.
func (c *Controller) Live() []rollout.Record {
	c.mu.RLock()
	defer c.mu.RUnlock()
	all := make([]rollout.Record, 0, len(c.memory.order))
	for _, id := range c.memory.order {
		all = append(all, c.memory.live[id].Record)
	}
	return all
}

// Last returns what was seen of a live rollout at its latest look.
func (c *Controller) Last(id int64) (rollout.Seen, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	l := c.memory.live[id]
	if l == nil || l.lastAt.IsZero() {
		return rollout.Seen{}, false
	}
	return l.last, true
}

func (c *Controller) status(w *work) WorkloadStatus {
	set := w.settings()
	s := WorkloadStatus{
		Key: w.Key, Stable: w.Stable, Wanted: set.Instances, Refused: w.refused(), Orphaned: w.Orphaned, Hosts: set.Hosts, Routes: set.Routes,
		Instances: []world.Instance{}, Versions: []VersionStatus{},
	}
	if len(s.Routes) == 0 {
		s.Routes = pathsOf(set)
	}
	wanted := c.memory.workload(w, &c.secrets)
	for _, f := range wanted.Fleets {
		s.Versions = append(s.Versions, c.versionStatus(w, wanted, f))
	}
	for _, i := range c.sight.seen.Instances {
		if i.Key == w.Key {
			s.Instances = append(s.Instances, i)
		}
	}
	if l := c.memory.unfinished(w.Key); l != nil {
		if a := c.memory.active(w.Key); a != nil {
			l = a
		}
		s.Rollout, s.Phase = l.Plan.Rollout, l.State.Phase
		s.Candidate = l.Plan.Members[l.index(w.Key.Workload)].Candidate
		wait := rollout.Waiting(l.Plan, l.State, l.last, c.now())
		s.Waits = &wait
	}
	s.Health, s.Outcome, s.Sync = c.health(w, s), w.ending(), c.sync(w, s)
	return s
}

func (c *Controller) versionStatus(w *work, wanted world.Workload, f world.Fleet) VersionStatus {
	seen := c.sight.fleets[fleetKey{w.Key, f.Version}]
	v := VersionStatus{
		Version: f.Version, Release: f.Release, Commit: f.Commit, Count: f.Count, Ready: seen.Ready, Restarts: seen.Restarts,
		Open: seen.Open, Failure: seen.Failure, Served: c.sight.share(w.Key, f.Version, world.Stamp{}), Observed: w.traffic.share(f.Version),
	}
	if r := w.versions[f.Version]; r != nil {
		v.Refused = r.Refused
	}
	for _, sh := range wanted.Split {
		if sh.Version == f.Version {
			v.Asked = sh.Weight
		}
	}
	return v
}

// health looks at the versions that are asked to have traffic, and at what the stable
// version of a function answered lately: an instance of one says little, it is not kept.
func (c *Controller) health(w *work, s WorkloadStatus) Health {
	if !c.observed() {
		return Health{State: Unknown, Why: "what runs cannot be observed"}
	}
	if s.Stable == 0 && !slices.ContainsFunc(s.Versions, func(v VersionStatus) bool { return v.Asked > 0 }) {
		return Health{State: Starting, Why: "no version has been promoted yet"}
	}
	h := Health{State: Healthy}
	for _, v := range s.Versions {
		need := min(v.Asked.Instances(s.Wanted), v.Count) // a candidate may come with fewer
		switch {
		case v.Asked == 0 || v.Ready >= need:
		case v.Ready == 0:
			return Health{State: Unhealthy, Why: fmt.Sprintf("%s has %s of the traffic and no ready instance", v.Version, v.Asked)}
		default:
			h = Health{State: Degraded, Why: fmt.Sprintf("%d of %d instances of %s are ready", v.Ready, need, v.Version)}
		}
	}
	if why := w.lately.failing(w.Stable, w.Settings.Alarms); why != "" && h.State == Healthy {
		return Health{State: Degraded, Why: why}
	}
	return h
}

// ending is how the newest version that is no longer under way ended.
func (w *work) ending() Ending {
	if v := w.versions[w.Newest]; v != nil && v.Refused != "" {
		return Ending{Outcome: v.Ended, Version: v.Number, Why: v.Refused}
	}
	if n := len(w.promoted); n > 0 {
		return Ending{Outcome: rollout.Promoted, Version: w.promoted[n-1].Version}
	}
	return Ending{}
}

func (c *Controller) sync(w *work, s WorkloadStatus) Sync {
	switch v := w.versions[w.Newest]; {
	case s.Rollout != 0:
		return Sync{State: Moving}
	case w.Orphaned != 0:
		return Sync{State: Unasked, Why: fmt.Sprintf("%s names it no more; it runs on until it is removed", w.Orphaned)}
	case v != nil && v.Refused != "" && v.Number != w.Stable && w.Settings.Asked != w.Stable: // else it was reverted
		why := fmt.Sprintf("%s %s", v.Release, words(v.Ended))
		if stable := w.stable(); stable != nil {
			why += fmt.Sprintf(", %s kept", stable.Release)
		}
		return Sync{State: Late, Why: why}
	case v != nil && v.Number > w.Stable && (w.stable() == nil || w.stable().Digest != v.Digest) && c.memory.refusedBeside(w) != "":
		return Sync{State: Late, Why: fmt.Sprintf("%s waits for %s, with which it moves together", v.Number, c.memory.refusedBeside(w))}
	case c.want.acked != world.Stamp{Token: c.token, Revision: c.want.revision}:
		return Sync{State: Pending, Why: "what is wanted has not been acknowledged yet"}
	}
	return Sync{State: AsAsked}
}

// refusedBeside names a workload of w's group whose newest version is refused, or
// is empty.
func (m *memory) refusedBeside(w *work) string {
	for _, name := range w.Settings.Together {
		other := m.works[rollout.Key{App: w.Key.App, Env: w.Key.Env, Workload: name}]
		if other == nil || other == w || other.Newest == other.Stable {
			continue
		}
		if v := other.versions[other.Newest]; v != nil && v.Refused != "" {
			return name
		}
	}
	return ""
}

// words are an outcome as people say it.
func words(o rollout.Outcome) string { return strings.ReplaceAll(string(o), "-", " ") }
