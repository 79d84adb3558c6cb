// Package seamtest is one suite for each seam of the controller: what every
// target, router and meter promises, whichever it is and whether it is real or
// simulated.
package seamtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"titrate/internal/controller"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// World is an implementation under test, fresh and empty.
type World struct {
	Target controller.Target
	Router controller.Router
	Meter  controller.Meter // nil: not tested
	// Fleet returns a version that gets ready and answers requests with 200.
	// Count is the suite's.
	Fleet func(k rollout.Key, v rollout.Version) world.Fleet
	// Send sends n requests to a workload through the router and returns when they
	// have been answered; nil: no traffic can be made.
	Send func(k rollout.Key, n int)
	// Pass lets some time pass, on whatever clock the implementation has; nil:
	// real time does.
	Pass func()
}

// patience is how long the suite waits for what has been asked for.
const patience = 30 * time.Second

var key = rollout.Key{App: "seam", Env: "production", Workload: "web"}

// suite is one test with its world.
type suite struct {
	World
	t *testing.T
}

// Run runs the suites of all seams, each test with a world of its own.
func Run(t *testing.T, open func(t *testing.T) World) {
	t.Helper()
	tests := []struct {
		name string
		run  func(s suite)
	}{
		{"Target_givesWhatIsAskedFor", suite.gives},
		{"Target_stopsWhatIsNotNamed", suite.stops},
		{"Target_anEqualStampIsAcknowledgedWithoutActing", suite.repeats},
		{"R18_aSmallerStampIsRefused", suite.refuses},
		{"Target_seenWaitsForNewsAndThenTellsWhatItKnows", suite.waits},
		{"Router_servesWhatIsAskedForAndSaysSo", suite.serves},
		{"R15_sharesSumToAll", suite.sums},
		{"Meter_countsEachRequestOnce", suite.counts},
		{"Meter_windowsComeInOrderAndOnce", suite.orders},
		{"Meter_withoutNewsThereIsNoError", suite.rests},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(suite{World: open(t), t: t})
		})
	}
}

// wanted is a world with one workload: counts by version, and the split.
func (s suite) wanted(stamp world.Stamp, counts map[rollout.Version]int, split ...world.Share) world.Wanted {
	w := world.Workload{Key: key, Hosts: []string{"web.localhost"}, Routes: []string{"/"}, Split: split}
	for v := rollout.Version(1); v < 10; v++ {
		if counts[v] > 0 {
			f := s.Fleet(key, v)
			f.Version, f.Count = v, counts[v]
			w.Fleets = append(w.Fleets, f)
		}
	}
	return world.Wanted{Stamp: stamp, Workloads: []world.Workload{w}}
}

// ask asks for a world as the controller does.
func (s suite) ask(w world.Wanted) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	return errors.Join(s.Target.Ensure(ctx, w), s.Router.Split(ctx, w))
}

func (s suite) mustAsk(w world.Wanted) {
	s.t.Helper()
	if err := s.ask(w); err != nil {
		s.t.Fatal(err)
	}
}

// until looks until done says so.
func (s suite) until(what string, done func(world.Seen) bool) world.Seen {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	var after uint64
	for {
		short, stop := context.WithTimeout(ctx, time.Second)
		seen, err := s.Target.Seen(short, after)
		stop()
		if err != nil {
			s.t.Fatalf("look: %v", err)
		}
		if done(seen) {
			return seen
		}
		if ctx.Err() != nil {
			s.t.Fatalf("not seen: %s; last: %+v", what, seen)
		}
		after = seen.Sequence
		if s.Pass != nil {
			s.Pass()
			after = 0
		}
	}
}

func fleet(seen world.Seen, v rollout.Version) (world.FleetSeen, bool) {
	for _, f := range seen.Fleets {
		if f.Key == key && f.Version == v {
			return f, true
		}
	}
	return world.FleetSeen{}, false
}

func ready(v rollout.Version, n int) func(world.Seen) bool {
	return func(seen world.Seen) bool {
		f, ok := fleet(seen, v)
		return ok && f.Ready == n
	}
}

var (
	first  = world.Stamp{Token: 1, Revision: 1}
	second = world.Stamp{Token: 1, Revision: 2}
	all    = world.Share{Version: 1, Weight: rollout.Full}
)
