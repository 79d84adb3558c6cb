package controller

import (
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// sight is the world as last observed.
type sight struct {
	known  bool // seen holds an observation that is not known to be outdated
	seen   world.Seen
	served world.Served
	fleets map[fleetKey]world.FleetSeen
	lives  map[rollout.Key]bool // an instance of it is there, of whatever version
	unwell map[fleetKey]string  // why an instance is not ready
	ended  map[fleetKey]string  // how an instance ended that was started again
	cursor uint64               // of the last window counted
	blind  error                // why the meter cannot be read; nil: it can
}

type fleetKey struct {
	rollout.Key
	version rollout.Version
}

func newSight() sight { return sight{fleets: map[fleetKey]world.FleetSeen{}} }

// Observe takes what a target and a router showed. Older observations than the
// one known are dropped, so that late and repeated ones do no harm. A zero served
// means that the router could not be asked.
func (c *Controller) Observe(seen world.Seen, served world.Served) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.sight
	if s.known && seen.Sequence < s.seen.Sequence {
		return
	}
	before := *s
	s.known, s.seen = true, seen
	if !served.Stamp.Less(s.served.Stamp) || served.Stamp == (world.Stamp{}) {
		s.served = served
	}
	s.fleets = make(map[fleetKey]world.FleetSeen, len(seen.Fleets))
	for _, f := range seen.Fleets {
		s.fleets[fleetKey{f.Key, f.Version}] = f
	}
	s.unwell, s.ended, s.lives = map[fleetKey]string{}, map[fleetKey]string{}, map[rollout.Key]bool{}
	for _, in := range seen.Instances {
		s.lives[in.Key] = s.lives[in.Key] || in.State != world.InstanceGone
		if in.Why != "" {
			s.unwell[fleetKey{in.Key, in.Version}] = in.Why
		}
		if in.Last != "" {
			s.ended[fleetKey{in.Key, in.Version}] = in.ID + " " + in.Last
		}
	}
	c.memory.compare(&before, s)
	if seen.Stamp.Less(c.want.acked) {
		// The target has lost what it acknowledged: a new disk, say. Ask again.
		c.want.acked = world.Stamp{}
		wake(c.act)
	}
	wake(c.nudge)
}

// Unseen says that the target cannot be observed any more: what was seen last is
// no ground for a decision.
func (c *Controller) Unseen() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sight.known = false
	c.memory.news.all = true
	wake(c.nudge)
}

// Measure takes closed windows, in the order of their cursors. Those that were
// taken before are dropped.
func (c *Controller) Measure(windows []world.VersionWindow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range windows {
		if w.Cursor <= c.sight.cursor {
			continue
		}
		c.sight.cursor = w.Cursor
		c.memory.count(w)
	}
	wake(c.nudge)
}

// Blind says why the meter cannot be read, which holds what depends on it (R12);
// nil: it can be again.
func (c *Controller) Blind(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if (err == nil) != (c.sight.blind == nil) {
		c.memory.news.all = true
		wake(c.nudge)
	}
	c.sight.blind = err
}

// observed reports whether there is a world to decide on: one that this
// controller, under its lease, has asked for. What came before it may still show
// what an earlier life wanted.
func (c *Controller) observed() bool {
	return c.sight.known && !c.sight.seen.Stamp.Less(world.Stamp{Token: c.token})
}

// share returns the candidate's share of a workload's traffic that is known to be
// served, -1 when it is not known. A table older than the one asked for says
// nothing, even if it happens to hold the same share (R13).
func (s *sight) share(k rollout.Key, v rollout.Version, asked world.Stamp) rollout.Weight {
	if s.served.Stamp == (world.Stamp{}) || s.served.Stamp.Less(asked) {
		return -1
	}
	w, _ := s.served.Of(k, v)
	return w
}

// cut returns what a gateway did with an attempt that had spent its damage budget; nil:
// nothing (R26).
func (s *sight) cut(id int64, attempt int) *rollout.Cut {
	for _, d := range s.seen.Cuts {
		if d.Rollout == id && d.Attempt == attempt {
			return &rollout.Cut{At: d.Cut, Served: d.Served}
		}
	}
	return nil
}

// concurrency returns how many instances of a function's stable version were at work
// at a time lately; 0 when that is not known.
func (c *Controller) concurrency(k rollout.Key) int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	w := c.memory.works[k]
	if w == nil || !c.sight.known {
		return 0
	}
	return c.sight.fleets[fleetKey{k, w.Stable}].Concurrency
}

// idle returns for how long a workload has measured no requests.
func (s *sight) idle(key string, now time.Time) time.Duration {
	since, ok := s.seen.Idle[key]
	if !ok || now.Before(since) {
		return 0
	}
	return now.Sub(since)
}

// accessory returns what is known of an accessory; zero when nothing is.
func (s *sight) accessory(k rollout.Key) world.AccessorySeen {
	if s.known {
		for _, a := range s.seen.Accessories {
			if a.Key == k {
				return a
			}
		}
	}
	return world.AccessorySeen{}
}
