package sim

import (
	"fmt"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// What follows tells the truth about the world, to those who check what others
// made of it. No controller can ask for it.

// Stamps returns the newest worlds that target and router have taken.
func (w *World) Stamps() (target, router world.Stamp) { return w.targetStamp, w.routerStamp }

// Table calls yield with each workload that takes requests and its split in the
// router's table, by key.
func (w *World) Table(yield func(rollout.Key, []world.Share) bool) {
	for _, o := range w.works {
		if !o.worker && !yield(o.key, o.split) {
			return
		}
	}
}

// Asked returns how many instances of a version should run.
func (w *World) Asked(k rollout.Key, v rollout.Version) int {
	if f := w.fleet(k, v); f != nil {
		return f.wanted
	}
	return 0
}

// Versions returns the versions of which something runs, or should.
func (w *World) Versions(k rollout.Key) []rollout.Version {
	var all []rollout.Version
	if o := w.byKey[k]; o != nil {
		for _, f := range o.fleets {
			all = append(all, f.version)
		}
	}
	return all
}

// Ready returns how many instances of a version are ready.
func (w *World) Ready(k rollout.Key, v rollout.Version) int {
	if f := w.fleet(k, v); f != nil {
		return f.ready
	}
	return 0
}

// WasReady returns when n instances of a version were ready last; zero: never.
func (w *World) WasReady(k rollout.Key, v rollout.Version, n int) time.Time {
	f := w.fleet(k, v)
	if f == nil || n >= len(f.readyAt) {
		return time.Time{}
	}
	return f.readyAt[n]
}

// TwoWriters returns a workload of which two instances live that have a volume which
// is not shared, or nothing (R31).
func (w *World) TwoWriters() string {
	for _, o := range w.works {
		var living []*fleet // by instance
		for _, f := range o.fleets {
			for range f.instances {
				living = append(living, f)
			}
		}
		for i, f := range living {
			for _, other := range living[:i] {
				if f.volumes.Clash(other.volumes) {
					return fmt.Sprintf("%s %s and %s", o.name, other.version, f.version)
				}
			}
		}
	}
	return ""
}

// DrawnUnready returns how many requests were drawn on a version of which nothing
// was ready.
func (w *World) DrawnUnready() int { return w.unready }

// RanTwice returns a hook that ran more than once, or nothing.
func (w *World) RanTwice() string {
	for _, key := range w.hookKeys {
		if w.hooks[key].runs > 1 {
			return key
		}
	}
	return ""
}
