package daemon

import (
	"context"
	"log/slog"
	"time"

	"titrate/internal/controller"
	"titrate/internal/steady"
	"titrate/internal/world"
)

// newClock returns the clock by which rollouts wait, which goes on when the machine's is
// set.
func newClock(log *slog.Logger) *steady.Clock {
	return steady.New(func(by time.Duration) {
		log.Warn("the clock of this machine was set; rollouts that are under way go by what has passed", slog.Duration("by", by.Round(time.Millisecond)))
	})
}

// steadyMeter has the windows of a meter, which stamps them by the machine's clock, in the
// time of another one.
type steadyMeter struct {
	controller.Meter
	clock *steady.Clock
}

// Windows implements [controller.Meter].
func (m steadyMeter) Windows(ctx context.Context, after uint64) ([]world.VersionWindow, error) {
	ws, err := m.Meter.Windows(ctx, after)
	for i := range ws {
		ws[i].Start = m.clock.Of(ws[i].End()).Add(-ws[i].Length)
	}
	return ws, err
}
