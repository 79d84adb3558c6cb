package figures

import (
	"context"
	"sync"
	"time"
)

// Steady calls send rate times a second until ctx ends, whether or not earlier calls
// have returned. All of them are waited for by the group.
func Steady(ctx context.Context, all *sync.WaitGroup, rate float64, send func()) {
	all.Go(func() {
		tick := time.NewTicker(time.Duration(float64(time.Second) / rate))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				all.Go(send)
			}
		}
	})
}
