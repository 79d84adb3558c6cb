package daemon

import (
	"context"
	"testing"
	"time"

	"titrate/internal/controller"
	"titrate/internal/steady"
	"titrate/internal/world"
)

type oneWindow struct {
	controller.Meter
	window world.VersionWindow
}

func (m oneWindow) Windows(context.Context, uint64) ([]world.VersionWindow, error) {
	return []world.VersionWindow{m.window}, nil
}

// TestSteadyMeter_whenTheClockWasSet has a window that closed a moment ago, by a clock
// that was set an hour forth meanwhile.
func TestSteadyMeter_whenTheClockWasSet(t *testing.T) {
	t.Parallel()
	wall := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	clock := steady.By(func() (time.Duration, time.Time) { return 0, wall }, nil)
	began := clock.Now()
	wall = wall.Add(time.Hour)
	var w world.VersionWindow
	w.Start, w.Length = wall.Add(-3*time.Second), 2*time.Second
	ws, err := steadyMeter{oneWindow{window: w}, clock}.Windows(t.Context(), 0)
	if err != nil || len(ws) != 1 || !ws[0].End().Equal(began.Add(-time.Second)) || ws[0].Length != 2*time.Second {
		t.Errorf("%+v, %v", ws, err)
	}
}
