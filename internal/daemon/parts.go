package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// parts runs the long-lived parts of a process by name. A part that fails is
// logged and started again with back-off; all end with their context.
type parts struct {
	log     *slog.Logger
	running sync.WaitGroup

	mu   sync.Mutex
	errs []error
}

func newParts(log *slog.Logger) *parts { return &parts{log: log} }

// start runs a part until ctx ends.
func (p *parts) start(ctx context.Context, name string, run func(context.Context) error) {
	p.running.Go(func() {
		for delay := 100 * time.Millisecond; ; delay = min(2*delay, 10*time.Second) {
			err := run(ctx)
			if ctx.Err() != nil {
				p.note(name, err)
				return
			}
			if err == nil {
				return
			}
			p.log.Error("a part of this process failed and is started again", slog.String("part", name), slog.Any("error", err))
			select {
			case <-ctx.Done():
				return
			case <-time.After(delay):
			}
		}
	})
}

// note keeps what went wrong at the end.
func (p *parts) note(name string, err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs = append(p.errs, fmt.Errorf("%s: %w", name, err))
}

// wait waits until all parts have ended.
func (p *parts) wait() { p.running.Wait() }

// err waits likewise, and returns what went wrong at the end.
func (p *parts) err() error {
	p.wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.errs...)
}
