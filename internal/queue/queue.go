package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Limits are those of Amazon SQS ("Amazon SQS message quotas").
const (
	MaxBody       = 256 << 10 // bytes of body and attributes, also of a whole batch
	MaxBatch      = 10
	MaxVisibility = 12 * time.Hour
	MaxDelay      = 15 * time.Minute
	MinRetention  = time.Minute
	MaxRetention  = 14 * 24 * time.Hour
	MaxReceives   = 1000
	MaxName       = 80
)

// Queue is what a queue was set to.
type Queue struct {
	Name       string
	Visibility time.Duration // how long a received message is hidden; 0: 30 s
	Delay      time.Duration // before a new message is visible
	Retention  time.Duration // after which a message is dropped; 0: 4 days
	MaxReceive int           // receives after which a message is given up; 0: any number
	DeadLetter string        // where messages that were given up go; goes with MaxReceive
}

func (q *Queue) check() error {
	if q.Visibility == 0 {
		q.Visibility = 30 * time.Second
	}
	if q.Retention == 0 {
		q.Retention = 4 * 24 * time.Hour
	}
	if (q.MaxReceive == 0) != (q.DeadLetter == "") {
		return fmt.Errorf("queue %s: a maximum of receives and a dead-letter queue go together; set both or neither", q.Name)
	}
	if q.DeadLetter == q.Name && q.Name != "" {
		return fmt.Errorf("queue %s is its own dead-letter queue; name another", q.Name)
	}
	return errors.Join(
		within("name of a queue", "bytes", int64(len(q.Name)), 1, MaxName),
		span("visibility", q.Visibility, 0, MaxVisibility),
		span("delay", q.Delay, 0, MaxDelay),
		span("retention", q.Retention, MinRetention, MaxRetention),
		within("maximum of receives", "receives", int64(q.MaxReceive), 0, MaxReceives))
}

// SetQueue makes a queue or changes the settings of one; its messages stay.
func (s *Store) SetQueue(ctx context.Context, q Queue) error {
	if err := q.check(); err != nil {
		return err
	}
	return s.change(ctx, func(t *tx) error {
		if q.DeadLetter != "" {
			if _, err := t.queue(q.DeadLetter); err != nil {
				return fmt.Errorf("dead-letter queue of %s: %w", q.Name, err)
			}
		}
		t.touch(q.Name)
		return t.exec(`INSERT INTO queues(name,visibility,delay,retention,max_receive,dead_letter) VALUES(?,?,?,?,?,?)
			ON CONFLICT(name) DO UPDATE SET visibility=excluded.visibility, delay=excluded.delay,
			retention=excluded.retention, max_receive=excluded.max_receive, dead_letter=excluded.dead_letter`,
			q.Name, millis(q.Visibility), millis(q.Delay), millis(q.Retention), q.MaxReceive,
			sql.NullString{String: q.DeadLetter, Valid: q.DeadLetter != ""})
	})
}

// DropQueue removes a queue with its messages. One that a topic or another queue
// sends to is refused with [ErrInUse].
func (s *Store) DropQueue(ctx context.Context, name string) error {
	return s.change(ctx, func(t *tx) error {
		if _, err := t.queue(name); err != nil {
			return err
		}
		var by string
		used, err := t.one(`SELECT 'topic '||topic FROM subscriptions WHERE queue=?1
			UNION ALL SELECT 'queue '||name FROM queues WHERE dead_letter=?1 LIMIT 1`, []any{name}, &by)
		if err != nil {
			return err
		}
		if used {
			return fmt.Errorf("queue %s gets messages of %s; change that first: %w", name, by, ErrInUse)
		}
		t.touch(name)
		for _, query := range []string{
			`DELETE FROM messages WHERE queue=?`, `DELETE FROM duplicates WHERE queue=?`, `DELETE FROM queues WHERE name=?`,
		} {
			if err := t.exec(query, name); err != nil {
				return err
			}
		}
		return nil
	})
}

// queue returns the settings of a queue.
func (t *tx) queue(name string) (Queue, error) {
	q := Queue{Name: name}
	var v, d, r int64
	found, err := t.one(`SELECT visibility,delay,retention,max_receive,coalesce(dead_letter,'') FROM queues WHERE name=?`,
		[]any{name}, &v, &d, &r, &q.MaxReceive, &q.DeadLetter)
	if err == nil && !found {
		err = unknown("queue", name)
	}
	ms := time.Millisecond
	q.Visibility, q.Delay, q.Retention = time.Duration(v)*ms, time.Duration(d)*ms, time.Duration(r)*ms
	return q, err
}

// touch notes that something may have become visible in queue.
func (t *tx) touch(queue string) { t.touched = append(t.touched, queue) }

func unknown(what, name string) error {
	return fmt.Errorf("%s %q: %w; name it in titrate.yaml", what, name, ErrUnknown)
}

func within(what, unit string, got, low, high int64) error {
	if got < low || got > high {
		return &LimitError{What: what, Got: got, Min: low, Max: high, Unit: unit}
	}
	return nil
}

func span(what string, got, low, high time.Duration) error {
	return within(what, "ms", millis(got), millis(low), millis(high))
}
