package controller

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"titrate/internal/world"
)

// Run takes the lease and drives all rollouts until ctx ends, or until another
// controller is in charge: then its error wraps rollout.ErrFenced or
// world.ErrStale. When it returns, nothing of it runs any more.
func (c *Controller) Run(ctx context.Context) error {
	if err := c.Start(ctx); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var parts sync.WaitGroup
	for _, part := range []func(context.Context) error{c.decideLoop, c.actLoop, c.observeLoop, c.measureLoop, c.intakeLoop} {
		parts.Go(func() {
			if err := part(ctx); err != nil {
				stop(err)
			}
		})
	}
	parts.Wait()
	if cause := context.Cause(ctx); final(cause) {
		return cause
	}
	return nil
}

// At each beat so many of the rollouts without news are looked at for what falls
// due by time. That is how late a deadline may be: a beat with few rollouts, a
// second with ten thousand.
const (
	beat  = 100 * time.Millisecond
	sweep = 1000

	idleBeat = time.Minute // where nothing falls due
)

// decideLoop decides whenever something was seen, measured or asked, and at each
// beat.
func (c *Controller) decideLoop(ctx context.Context) error {
	delay := newBackoff()
	tick, idle := time.NewTicker(beat), time.NewTicker(idleBeat)
	defer tick.Stop()
	defer idle.Stop()
	few := sweep
	for ctx.Err() == nil {
		if c.resting() {
			c.Rest()
		}
		_, err := c.decide(ctx, c.Now(), few)
		switch {
		case err == nil:
			delay.reset()
		case final(err):
			return err
		case ctx.Err() == nil:
			if delay.first() {
				c.Log.Error("decisions cannot be stored; trying again", slog.Any("error", err))
			}
			delay.wait(ctx)
		}
		due := tick.C
		if c.resting() {
			due = nil
		}
		select {
		case <-ctx.Done():
		case <-due:
			few = sweep
		case <-idle.C:
		case <-c.nudge:
			few = 0
		}
	}
	return nil
}

// resting reports whether nothing falls due by time.
func (c *Controller) resting() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.memory.live) == 0
}

// poll is how long one question to a hand may wait for news.
const poll = 20 * time.Second

func (c *Controller) observeLoop(ctx context.Context) error {
	delay := newBackoff()
	var after uint64
	for ctx.Err() == nil {
		seen, served, err := c.observe(ctx, after)
		if err == nil {
			delay.reset()
			after = seen.Sequence
			c.Observe(seen, served)
			continue
		}
		if ctx.Err() == nil {
			if delay.first() {
				c.Log.Warn("the target cannot be observed", slog.Any("error", err))
			}
			c.Unseen()
			after = 0
			delay.wait(ctx)
		}
	}
	return nil
}

// observe asks the target for what is newer than after, and the router for what
// it serves then. A router that cannot be asked leaves the share unknown.
func (c *Controller) observe(ctx context.Context, after uint64) (world.Seen, world.Served, error) {
	ctx, cancel := context.WithTimeout(ctx, poll)
	defer cancel()
	seen, err := c.Target.Seen(ctx, after)
	if err != nil {
		return world.Seen{}, world.Served{}, err
	}
	served, err := c.Router.Served(ctx)
	if err != nil {
		c.Log.Debug("the router cannot be asked", slog.Any("error", err))
		return seen, world.Served{}, nil
	}
	return seen, served, nil
}

// blindAfter is how long a meter may fail before it counts as down: a node that
// restarts is back by then.
const blindAfter = 5 * time.Second

func (c *Controller) measureLoop(ctx context.Context) error {
	delay := newBackoff()
	var after uint64
	var failing time.Time
	for ctx.Err() == nil {
		windows, err := c.windows(ctx, after)
		if err == nil {
			delay.reset()
			failing = time.Time{}
			c.Blind(nil)
			c.Measure(windows)
			if n := len(windows); n > 0 {
				after = windows[n-1].Cursor
			}
			continue
		}
		if ctx.Err() == nil {
			if failing.IsZero() {
				failing = c.Now()
				c.Log.Warn("the meter cannot be read", slog.Any("error", err))
			}
			if c.Now().Sub(failing) >= blindAfter {
				c.Blind(err)
			}
			delay.wait(ctx)
		}
	}
	return nil
}

func (c *Controller) windows(ctx context.Context, after uint64) ([]world.VersionWindow, error) {
	ctx, cancel := context.WithTimeout(ctx, poll)
	defer cancel()
	return c.Meter.Windows(ctx, after)
}
