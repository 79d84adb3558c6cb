package seamtest

import (
	"context"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// collect reads windows until enough says so.
func (s suite) collect(enough func([]world.VersionWindow) bool) []world.VersionWindow {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	var all []world.VersionWindow
	var after uint64
	for !enough(all) {
		short, stop := context.WithTimeout(ctx, 3*time.Second)
		some, err := s.Meter.Windows(short, after)
		stop()
		if err != nil {
			s.t.Fatalf("read windows: %v", err)
		}
		for _, w := range some {
			if w.Cursor <= after {
				s.t.Fatalf("cursor %d after %d", w.Cursor, after)
			}
			after = w.Cursor
			all = append(all, w)
		}
		if ctx.Err() != nil {
			s.t.Fatalf("not measured in time; %d windows: %+v", len(all), all)
		}
		if s.Pass != nil {
			s.Pass()
		}
	}
	return all
}

func requests(windows []world.VersionWindow, v rollout.Version) (n uint64) {
	for _, w := range windows {
		if w.Key == key && w.Version == v {
			n += w.Requests
		}
	}
	return n
}

// traffic has v1 serve all of the workload and sends n requests.
func (s suite) traffic(n int) {
	s.t.Helper()
	if s.Meter == nil || s.Send == nil {
		s.t.Skip("this implementation measures nothing")
	}
	s.mustAsk(s.wanted(first, map[rollout.Version]int{1: 1}, all))
	s.until("v1", ready(1, 1))
	s.served(first)
	s.Send(key, n)
}

func (s suite) counts() {
	const sent = 50
	s.traffic(sent)
	windows := s.collect(func(all []world.VersionWindow) bool { return requests(all, 1) >= sent })
	if n := requests(windows, 1); n != sent {
		s.t.Errorf("%d requests were sent, %d counted", sent, n)
	}
	var latencies, good, failed uint64
	for _, w := range windows {
		if w.Key != key {
			continue
		}
		latencies += w.Latency.Total()
		good += w.Status[2]
		failed += w.Failed
	}
	if latencies != sent || good != sent || failed != 0 {
		s.t.Errorf("%d latencies, %d answered 2xx, %d failed, of %d", latencies, good, failed, sent)
	}
}

func (s suite) orders() {
	s.traffic(5)
	closed := 0
	windows := s.collect(func(all []world.VersionWindow) bool {
		closed = 0
		for _, w := range all {
			if w.Key == key && w.Version == 1 {
				closed++
			}
		}
		return closed >= 3
	})
	var end time.Time
	for _, w := range windows {
		if w.Key != key || w.Version != 1 {
			continue
		}
		if w.Length <= 0 || w.Start.Before(end) {
			s.t.Errorf("a window of %v from %v begins before %v", w.Length, w.Start, end)
		}
		end = w.End()
	}
	// Asking again from the beginning gives the same, as far as it is kept.
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	again, err := s.Meter.Windows(ctx, 0)
	if err != nil || len(again) == 0 || again[0].Cursor > windows[len(windows)-1].Cursor {
		s.t.Errorf("windows are forgotten once read: %d, %v", len(again), err)
	}
}

func (s suite) rests() {
	if s.Meter == nil {
		s.t.Skip("this implementation measures nothing")
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := s.Meter.Windows(ctx, 1<<62); err != nil {
		s.t.Errorf("with no news before the deadline: %v", err)
	}
}
