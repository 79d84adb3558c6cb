package seamtest

import (
	"context"
	"errors"
	"slices"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

func (s suite) gives() {
	s.mustAsk(s.wanted(first, map[rollout.Version]int{1: 2}, all))
	seen := s.until("two ready instances of v1", ready(1, 2))
	if seen.Stamp != first {
		s.t.Errorf("the stamp seen is %+v, not %+v", seen.Stamp, first)
	}
	s.mustAsk(s.wanted(second, map[rollout.Version]int{1: 2, 2: 1}, all))
	later := s.until("a ready instance of v2", ready(2, 1))
	if later.Sequence <= seen.Sequence {
		s.t.Errorf("sequence %d after %d", later.Sequence, seen.Sequence)
	}
	if f, ok := fleet(later, 1); !ok || f.Ready != 2 || f.Restarts != 0 {
		s.t.Errorf("v1 was touched: %+v", f)
	}
}

func (s suite) stops() {
	s.mustAsk(s.wanted(first, map[rollout.Version]int{1: 1, 2: 1}, all))
	s.until("both versions", func(seen world.Seen) bool { return ready(1, 1)(seen) && ready(2, 1)(seen) })
	s.mustAsk(s.wanted(second, map[rollout.Version]int{1: 1}, all))
	s.until("v2 is gone", func(seen world.Seen) bool {
		f, ok := fleet(seen, 2)
		return !ok || f.Ready == 0
	})
	s.until("v1 runs on", ready(1, 1))
}

func (s suite) repeats() {
	w := s.wanted(first, map[rollout.Version]int{1: 1}, all)
	s.mustAsk(w)
	before := s.until("v1", ready(1, 1))
	for range 3 {
		s.mustAsk(w)
	}
	after := s.until("v1", ready(1, 1))
	if a, b := ids(before), ids(after); !slices.Equal(a, b) {
		s.t.Errorf("instances were %v, are %v", a, b)
	}
	if after.Stamp != first {
		s.t.Errorf("stamp %+v", after.Stamp)
	}
}

func ids(seen world.Seen) []string {
	var all []string
	for _, i := range seen.Instances {
		if i.Key == key && i.State != world.InstanceGone {
			all = append(all, i.ID)
		}
	}
	slices.Sort(all)
	return all
}

func (s suite) refuses() {
	newest := world.Stamp{Token: 2, Revision: 5}
	s.mustAsk(s.wanted(newest, map[rollout.Version]int{1: 1}, all))
	s.until("v1", ready(1, 1))
	for _, stamp := range []world.Stamp{{Token: 2, Revision: 4}, {Token: 1, Revision: 99}} {
		w := s.wanted(stamp, nil)
		if err := s.Target.Ensure(s.t.Context(), w); !errors.Is(err, world.ErrStale) {
			s.t.Errorf("the target took %+v after %+v: %v", stamp, newest, err)
		}
		if err := s.Router.Split(s.t.Context(), w); !errors.Is(err, world.ErrStale) {
			s.t.Errorf("the router took %+v after %+v: %v", stamp, newest, err)
		}
	}
	if seen := s.until("v1", ready(1, 1)); seen.Stamp != newest {
		s.t.Errorf("stamp %+v", seen.Stamp)
	}
	served, err := s.Router.Served(s.t.Context())
	if err != nil || served.Stamp != newest {
		s.t.Errorf("served %+v, %v", served.Stamp, err)
	}
	// A greater token wins, whatever its revision.
	s.mustAsk(s.wanted(world.Stamp{Token: 3, Revision: 1}, map[rollout.Version]int{1: 1}, all))
}

func (s suite) waits() {
	s.mustAsk(s.wanted(first, map[rollout.Version]int{1: 1}, all))
	seen := s.until("v1", ready(1, 1))
	ctx, cancel := context.WithTimeout(s.t.Context(), 500*time.Millisecond)
	defer cancel()
	again, err := s.Target.Seen(ctx, seen.Sequence)
	if err != nil {
		s.t.Fatalf("with no news before the deadline: %v", err)
	}
	if again.Sequence < seen.Sequence || !ready(1, 1)(again) {
		s.t.Errorf("it does not tell what it knows: %+v", again)
	}
}
