package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"titrate/client"
)

// enough is how often a function is called until its release is measured (R11).
const enough = 20

// atATime bounds the calls under way: the machine builds and kills as well.
const atATime = 4

// measure calls each function whose candidate was called less than enough, as `titrate fn
// invoke` does, with the event that its probe is: it finds the code and does nothing. So no
// release bakes for days, or ends unmeasured when the next push ends its bake. It is a
// person's part, as most of these functions are called once a day or once a month.
func (s *soak) measure(ctx context.Context) error {
	fs, err := s.Client.Functions(ctx, app, "production")
	if err != nil {
		return fmt.Errorf("list the functions: %w", err)
	}
	slots := make(chan struct{}, atATime)
	var all sync.WaitGroup
	for _, f := range fs {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			for called := 0; called < enough; {
				// One that fails is seen by the release's alarms, which is where it counts.
				_, err := s.Client.Invoke(ctx, app, "production", f.Name, client.InvokeRequest{Event: json.RawMessage(`{"probe":true}`)})
				switch {
				case ctx.Err() != nil || bear(err) != nil:
					return
				case err == nil:
					called++
				default: // nobody was there, who was killed: a person would do it again
					select {
					case <-ctx.Done():
					case <-time.After(100 * time.Millisecond):
					}
				}
			}
		})
	}
	all.Wait()
	return ctx.Err()
}
