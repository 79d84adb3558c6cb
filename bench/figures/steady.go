package figures

import (
	"context"
	"sync"
	"time"
)

// Steady calls send rate times a second until ctx ends, whether or not earlier calls
// have returned, and however late the machine's timers wake it: those that are due by then
// are sent at once. All of them are waited for by the group.
func Steady(ctx context.Context, all *sync.WaitGroup, rate float64, send func()) {
	all.Go(func() {
		began, every := time.Now(), float64(time.Second)/rate
		wake := time.NewTimer(0)
		defer wake.Stop()
		for sent := 1.0; ; sent++ {
			wake.Reset(time.Until(began.Add(time.Duration(sent * every))))
			select {
			case <-ctx.Done():
				return
			case <-wake.C:
				all.Go(send)
			}
		}
	})
}
