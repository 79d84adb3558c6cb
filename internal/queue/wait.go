package queue

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"
)

// wakes hold a channel for each queue that somebody waits for. It is closed when
// something may have become visible.
type wakes struct {
	mu sync.Mutex
	of map[string]chan struct{}
}

func (w *wakes) heard(queue string) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok := w.of[queue]
	if !ok {
		c = make(chan struct{})
		w.of[queue] = c
	}
	return c
}

func (w *wakes) tell(queues []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, q := range queues {
		if c, ok := w.of[q]; ok {
			close(c)
			delete(w.of, q)
		}
	}
}

// Wait returns nil when a message of queue is visible: sent, or its delay or its
// visibility has ended. It does not poll. Another receiver may be faster, so that
// a Receive after it may find nothing: then wait again.
func (s *Store) Wait(ctx context.Context, queue string) error {
	for {
		heard := s.wakes.heard(queue) // before the look, so that nothing is missed
		at, some, err := s.next(ctx, queue)
		if err != nil {
			return err
		}
		if some && at <= s.now() {
			return nil
		}
		var due <-chan time.Time
		stop := func() {}
		if some {
			due, stop = s.clock.At(time.UnixMilli(at))
		}
		select {
		case <-heard:
		case <-due:
		case <-s.closed:
			err = ErrClosed
		case <-ctx.Done():
			err = ctx.Err()
		}
		stop()
		if err != nil {
			return err
		}
	}
}

// next says when the next message of queue is visible, if there is one.
func (s *Store) next(ctx context.Context, queue string) (at int64, some bool, err error) {
	var retention int64
	err = s.read.QueryRowContext(ctx, `SELECT retention FROM queues WHERE name=?`, queue).Scan(&retention)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, unknown("queue", queue)
	}
	if err == nil {
		err = s.read.QueryRowContext(ctx, `SELECT visible FROM messages WHERE queue=? AND sent>? ORDER BY visible LIMIT 1`,
			queue, s.now()-retention).Scan(&at)
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, false, nil
	case err != nil:
		return 0, false, s.wrap("look at queue "+queue, err)
	}
	return at, true, nil
}
