package events

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"titrate/internal/queue"
)

// sweepEvery is how often messages past their retention are deleted where nobody receives.
const sweepEvery = 10 * time.Minute

// Run delivers what is accepted until ctx ends; then it waits for the calls that are
// under way, whose context ended with it. Run it once at a time.
func (e *Events) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { e.keepTime(ctx) })
	parts.Go(func() { e.sweep(ctx) })
	type running struct {
		*poller
		stop context.CancelFunc
	}
	pollers := map[string]running{}
	for {
		changed := e.hear()
		named := map[string]bool{}
		for _, p := range e.all() {
			p.mu.Lock()
			for id, c := range p.calls {
				id = p.String() + "\x00" + id
				named[id] = true
				if r, runs := pollers[id]; runs {
					r.call.Store(&c)
					r.gate.set(c.atOnce())
					continue
				}
				collecting, stop := context.WithCancel(ctx)
				r := running{&poller{e: e, place: p, gate: newGate(c.atOnce())}, stop}
				r.call.Store(&c)
				pollers[id] = r
				parts.Go(func() { r.run(collecting, ctx) })
			}
			p.mu.Unlock()
		}
		for id, r := range pollers {
			if !named[id] {
				r.stop()
				delete(pollers, id)
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			for _, r := range pollers {
				r.stop()
			}
			return nil
		}
	}
}

// hear returns a channel that is closed by the next Apply.
func (e *Events) hear() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.changed
}

func (e *Events) all() []*place {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]*place, 0, len(e.places))
	for _, p := range e.places {
		all = append(all, p)
	}
	return all
}

func (e *Events) sweep(ctx context.Context) {
	for {
		for _, p := range e.all() {
			if _, err := p.store.Sweep(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, queue.ErrClosed) {
				e.log.Error("old messages could not be deleted", slog.String("app", p.app), slog.String("env", p.env), slog.Any("err", err))
			}
		}
		if e.wait(ctx, e.clock.Now().Add(sweepEvery)) != nil {
			return
		}
	}
}
