package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// Table is the whole of what the gateway should route: what it does not name is
// drained and forgotten. Where two workloads claim one route, the one that comes
// first has it.
type Table struct {
	Stamp      world.Stamp
	Workloads  []Workload
	PreviewKey []byte // signs preview tokens; empty: no preview is let in
	// Damage is what a process before this one knew, of [Gateway.Damage] (R26).
	Damage []world.Damage
}

// Workload is one workload of one environment, as far as its requests go.
type Workload struct {
	Key    rollout.Key
	Worker bool     // takes no requests: has no routes and no internal address
	Hosts  []string // host names, without port; "*.shop.example" takes those below it
	Routes []string // path prefixes, on whole segments; with Hosts: on these hosts only
	// Versions are those that may be reached at all: a version without a share
	// is reachable by preview only.
	Versions []Version
	// Split is empty when nothing has traffic yet (503); else its weights sum to
	// rollout.Full (R15) and each names one of Versions.
	Split   []world.Share
	Rollout int64 // in progress, for logs; 0: none
	Attempt int
	// Patterns are route keys of API Gateway's HTTP APIs: "GET /pickups/{id}",
	// "ANY /{proxy+}", "$default"; with Hosts: on these hosts only.
	Patterns []string
	// Stable is the version that gets what another one failed (R25); 0: there is none.
	Stable    rollout.Version
	Shield500 bool           // R25: a 500 is a failure that is shielded, too
	Damage    rollout.Damage // R26: of the rollout's attempt
	// Paths are routes beside those of Routes and Patterns, and Match what sends
	// requests to the version that is tried.
	Paths []rollout.Route
	Match []rollout.Match
	// Maintenance answers all of its requests; nil: its versions do.
	Maintenance *rollout.Maintenance
}

// Version is one version of a workload.
type Version struct {
	Version rollout.Version
	Drain   time.Duration // how long its requests may go on when it has lost its traffic; 0: Config.Drain
}

// TableOf returns the part of a wanted world that the gateway has to know.
func TableOf(w world.Wanted) Table {
	t := Table{Stamp: w.Stamp, PreviewKey: w.PreviewKey, Damage: w.Damage, Workloads: make([]Workload, 0, len(w.Workloads))}
	for _, ww := range w.Workloads {
		wl := Workload{
			Key: ww.Key, Worker: ww.Worker, Hosts: ww.Hosts, Routes: ww.Routes,
			Split: ww.Split, Rollout: ww.Rollout, Attempt: ww.Attempt, Stable: ww.Stable,
			Shield500: ww.Shield500, Damage: ww.Damage,
			Paths: ww.Paths, Match: ww.Match, Maintenance: ww.Maintenance,
		}
		if ww.Triggers != nil {
			wl.Patterns = ww.Triggers.Routes
			if len(wl.Patterns) == 0 && len(wl.Routes) == 0 {
				wl.Hosts = nil // a function takes no requests that it does not name
			}
		}
		for _, f := range ww.Fleets {
			wl.Versions = append(wl.Versions, Version{Version: f.Version, Drain: f.Drain})
		}
		t.Workloads = append(t.Workloads, wl)
	}
	return t
}

// maxVersions is how many versions one bucket byte can name.
const maxVersions = 256

// Validate reports every fault of the table, each with the workload it is in.
func (t Table) Validate() error {
	var errs []error
	seen := map[rollout.Key]bool{}
	for _, w := range t.Workloads {
		if seen[w.Key] {
			errs = append(errs, fmt.Errorf("%s is named twice", w.Key))
		}
		seen[w.Key] = true
		if err := w.validate(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", w.Key, err))
		}
	}
	return errors.Join(errs...)
}

func (w Workload) validate() error {
	if w.Key.App == "" || w.Key.Env == "" || w.Key.Workload == "" {
		return errors.New("app, environment and workload must all have a name")
	}
	for _, h := range w.Hosts {
		if n, ok := hostPattern(h); !ok || n != strings.ToLower(h) {
			return fmt.Errorf("%q is not a host name without port", h)
		}
	}
	for _, r := range w.Routes {
		if !strings.HasPrefix(r, "/") || strings.ContainsAny(r, "?#") {
			return fmt.Errorf("%q is not a path prefix", r)
		}
	}
	for _, r := range w.Paths {
		if err := r.Validate(); err != nil {
			return fmt.Errorf("route %s: %w", r.Path, err)
		}
	}
	for _, m := range w.Match {
		if err := m.Validate(); err != nil {
			return err
		}
	}
	for _, p := range w.Patterns {
		if err := validPattern(p); err != nil {
			return err
		}
	}
	if len(w.Split) == 0 {
		return nil
	}
	if len(w.Split) > maxVersions {
		return fmt.Errorf("%d versions share its traffic, at most %d can", len(w.Split), maxVersions)
	}
	sum, shares := rollout.Weight(0), map[rollout.Version]bool{}
	for _, s := range w.Split {
		if s.Weight < 0 {
			return fmt.Errorf("weight of %s is negative", s.Version)
		}
		if shares[s.Version] {
			return fmt.Errorf("%s has two shares", s.Version)
		}
		if !slices.ContainsFunc(w.Versions, func(v Version) bool { return v.Version == s.Version }) {
			return fmt.Errorf("%s has a share but is not one of its versions", s.Version)
		}
		shares[s.Version] = true
		sum += s.Weight
	}
	if sum != rollout.Full {
		return fmt.Errorf("weights sum to %s, not to 100 %%", sum)
	}
	return nil
}
