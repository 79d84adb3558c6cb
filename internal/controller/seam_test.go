package controller_test

import (
	"context"
	"testing"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/controller/seamtest"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// sent are hands that measure what is sent, on a clock that only Pass moves.
type sent struct {
	*hands
	now   time.Time
	open  map[rollout.Key]uint64
	stock []world.VersionWindow
}

func (s *sent) Seen(context.Context, uint64) (world.Seen, error) {
	seen, _ := s.seen(s.now)
	return seen, nil
}

func (s *sent) Served(context.Context) (world.Served, error) {
	_, served := s.seen(s.now)
	return served, nil
}

func (s *sent) Windows(_ context.Context, after uint64) ([]world.VersionWindow, error) {
	for i, w := range s.stock {
		if w.Cursor > after {
			return s.stock[i:], nil
		}
	}
	return nil, nil
}

// pass closes the second's windows.
func (s *sent) pass() {
	s.now = s.now.Add(time.Second)
	for _, w := range s.windows(s.now) {
		n := s.open[w.Key]
		w.Requests, w.Status[2] = n, n
		if n > 0 {
			w.Latency = analysis.Histogram{Bucket: []uint16{900}, Count: []uint64{n}}
		}
		s.stock = append(s.stock, w)
	}
	clear(s.open)
}

// TestSeams runs the suites on this package's own hands, so that what the
// controller is tested with keeps the promises that real hands are held to.
func TestSeams(t *testing.T) {
	t.Parallel()
	seamtest.Run(t, func(t *testing.T) seamtest.World {
		t.Helper()
		s := &sent{hands: &hands{}, now: began, open: map[rollout.Key]uint64{}}
		return seamtest.World{
			Target: s, Router: s, Meter: s, Pass: s.pass,
			Fleet: func(rollout.Key, rollout.Version) world.Fleet { return world.Fleet{Artifact: "a"} },
			Send:  func(k rollout.Key, n int) { s.open[k] += uint64(n) },
		}
	})
}
