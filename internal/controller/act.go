package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"titrate/internal/world"
)

// asking is how long a hand may take to acknowledge a world.
const asking = 10 * time.Second

func isStale(err error) bool { return errors.Is(err, world.ErrStale) }

// ensure asks target and router for the wanted world, unless they have
// acknowledged it. Worlds wanted in the meantime are coalesced: the newest is
// asked for.
func (c *Controller) ensure(ctx context.Context) error {
	c.mu.RLock()
	stamp := world.Stamp{Token: c.token, Revision: c.want.revision}
	done := c.want.acked == stamp
	c.mu.RUnlock()
	if done {
		return nil
	}
	w := c.Wanted()
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	if err := c.Target.Ensure(ctx, w); err != nil {
		return fmt.Errorf("ask the target for world %d.%d: %w", w.Stamp.Token, w.Stamp.Revision, err)
	}
	if err := c.Router.Split(ctx, w); err != nil {
		return fmt.Errorf("ask the router for world %d.%d: %w", w.Stamp.Token, w.Stamp.Revision, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.want.acked.Less(w.Stamp) {
		c.want.acked = w.Stamp
	}
	return nil
}

// actLoop asks for each wanted world until it is acknowledged, and never holds up
// a decision.
func (c *Controller) actLoop(ctx context.Context) error {
	delay := newBackoff()
	for ctx.Err() == nil {
		err := c.ensure(ctx)
		switch {
		case err == nil:
			delay.reset()
			select {
			case <-ctx.Done():
			case <-c.act:
			}
			continue
		case final(err):
			return err
		case ctx.Err() == nil && delay.first():
			c.Log.Warn("the wanted world is not acknowledged; asking again", slog.Any("error", err))
		}
		delay.wait(ctx)
	}
	return nil
}

// backoff spaces out attempts.
type backoff struct{ next time.Duration }

const (
	backoffLeast = 50 * time.Millisecond
	backoffMost  = 2 * time.Second
)

func newBackoff() *backoff { return &backoff{next: backoffLeast} }

func (b *backoff) reset()      { b.next = backoffLeast }
func (b *backoff) first() bool { return b.next == backoffLeast }

func (b *backoff) wait(ctx context.Context) {
	t := time.NewTimer(b.next)
	defer t.Stop()
	b.next = min(2*b.next, backoffMost)
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
