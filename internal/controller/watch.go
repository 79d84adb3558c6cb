package controller

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"titrate/internal/rollout"
)

// Time in which no controller looked at the world is neither hold nor bake (R13):
// the server was down, or the machine asleep. So it is stored now and then that
// the world is watched, and a longer break is noticed.
const (
	watching = 5 * time.Second
	lapse    = 2 * watching
)

// watch takes note that the world is watched now. After a break, each rollout is
// first shown that nothing was observed since it began.
func (m *memory) watch(now time.Time) {
	if !m.watched.IsZero() && now.Sub(m.watched) > lapse {
		for _, l := range m.live {
			l.unwatched = m.watched
			m.news.note(l.Plan.Rollout)
		}
	}
	m.watched = now
}

// stillWatching stores that the world was watched until now, when that is due and
// anybody may ask. The caller is the writer.
func (c *Controller) stillWatching(ctx context.Context, now time.Time) error {
	c.mu.RLock()
	due := c.memory.watched.Equal(now) && len(c.memory.live) > 0 && now.Sub(c.memory.stored) >= watching
	c.mu.RUnlock()
	if !due {
		return nil
	}
	err := c.commit(ctx, rollout.Change{At: now, Watched: now})
	if final(err) {
		return fmt.Errorf("store that the world is watched: %w", err)
	}
	if err != nil { // a full disk, say: the worst of it is that time counts as a break
		c.Log.Debug("not stored that the world is watched", slog.Any("error", err))
	}
	return nil
}
