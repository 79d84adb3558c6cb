package sim_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"titrate/internal/controller"
	"titrate/internal/controller/seamtest"
	"titrate/internal/rollout"
	"titrate/internal/sim"
	"titrate/internal/world"
)

var (
	_ controller.Store  = (*sim.Store)(nil)
	_ controller.Target = (*sim.World)(nil)
	_ controller.Router = (*sim.World)(nil)
	_ controller.Meter  = (*sim.World)(nil)
)

// TestSeams holds the simulated world to what every target, router and meter
// promises.
func TestSeams(t *testing.T) {
	t.Parallel()
	seamtest.Run(t, func(*testing.T) seamtest.World {
		w := sim.NewWorld(sim.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)), rand.New(rand.NewPCG(1, 2)))
		w.Ack = func() time.Duration { return 200 * time.Millisecond }
		w.Nature = func(rollout.Key, world.Fleet) sim.Nature { return sim.Nature{Start: time.Second} }
		return seamtest.World{
			Target: w, Router: w, Meter: w,
			Fleet: func(_ rollout.Key, v rollout.Version) world.Fleet {
				return world.Fleet{Version: v, Artifact: "ab", Command: []string{"./web"}, StartTimeout: time.Minute, Drain: time.Second}
			},
			Send: w.Send,
			Pass: func() { w.Pass(time.Second) },
		}
	})
}
