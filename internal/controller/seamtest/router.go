package seamtest

import (
	"context"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// served waits until the router serves a stamp.
func (s suite) served(stamp world.Stamp) world.Served {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		served, err := s.Router.Served(ctx)
		if err == nil && !served.Stamp.Less(stamp) {
			return served
		}
		if s.Pass != nil {
			s.Pass()
		}
		select {
		case <-ctx.Done():
			s.t.Fatalf("%+v is not served: %+v, %v", stamp, served, err)
		case <-again.C:
		}
	}
}

func (s suite) serves() {
	counts := map[rollout.Version]int{1: 1, 2: 1}
	s.mustAsk(s.wanted(first, counts, all))
	s.until("both versions", func(seen world.Seen) bool { return ready(1, 1)(seen) && ready(2, 1)(seen) })
	served := s.served(first)
	if w, ok := served.Of(key, 1); !ok || w != rollout.Full {
		s.t.Errorf("v1 has %s of %+v", w, served)
	}
	// 0.01 % is the least (R15).
	s.mustAsk(s.wanted(second, counts, world.Share{Version: 1, Weight: 9999}, world.Share{Version: 2, Weight: 1}))
	served = s.served(second)
	if w, _ := served.Of(key, 2); w != 1 {
		s.t.Errorf("v2 has %s", w)
	}
	if w, _ := served.Of(key, 9); w != 0 {
		s.t.Errorf("a version that is not there has %s", w)
	}
}

func (s suite) sums() {
	counts := map[rollout.Version]int{1: 1, 2: 1}
	stamp := first
	for _, weight := range []rollout.Weight{0, 1, 3333, 5000, 9999, rollout.Full} {
		var split []world.Share
		for v, w := range map[rollout.Version]rollout.Weight{1: rollout.Full - weight, 2: weight} {
			if w > 0 {
				split = append(split, world.Share{Version: v, Weight: w})
			}
		}
		s.mustAsk(s.wanted(stamp, counts, split...))
		served := s.served(stamp)
		sum := rollout.Weight(0)
		for _, share := range served.Split[key.String()] {
			sum += share.Weight
		}
		if got, _ := served.Of(key, 2); sum != rollout.Full || got != weight {
			s.t.Errorf("asked for %s: served %s, in all %s", weight, got, sum)
		}
		stamp.Revision++
	}
}
