package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Purge deletes all messages of queue, also those in flight, and returns how many.
func (s *Store) Purge(ctx context.Context, queue string) (int64, error) {
	var n int64
	err := s.change(ctx, func(t *tx) (err error) {
		if _, err = t.queue(queue); err != nil {
			return err
		}
		n, err = t.count(`DELETE FROM messages WHERE queue=?`, queue)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("purge: %w", err)
	}
	return n, nil
}

// Sweep deletes what is past its retention in all queues, also in those that nobody
// receives from, and returns how many messages. Its transactions are short.
func (s *Store) Sweep(ctx context.Context) (int64, error) {
	var all int64
	for {
		var n int64
		err := s.change(ctx, func(t *tx) (err error) {
			if err := t.exec(`DELETE FROM duplicates WHERE until<=?`, t.now); err != nil {
				return err
			}
			n, err = t.count(`DELETE FROM messages WHERE seq IN (SELECT m.seq FROM queues q
				JOIN messages m ON m.queue=q.name AND m.sent<=?-q.retention LIMIT 500)`, t.now)
			return err
		})
		if err != nil {
			return all, fmt.Errorf("sweep queues: %w", err)
		}
		if all += n; n == 0 {
			return all, nil
		}
	}
}

// Redrive gives up to limit messages of a dead-letter queue back to the queues that
// gave them up, as if they were sent now, and returns how many. Messages in flight,
// and those whose queue is gone, stay.
func (s *Store) Redrive(ctx context.Context, queue string, limit int) (int64, error) {
	var n int64
	err := s.change(ctx, func(t *tx) (err error) {
		if _, err = t.queue(queue); err != nil {
			return err
		}
		n, err = t.redrive(queue, limit)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("redrive: %w", err)
	}
	return n, nil
}

func (t *tx) redrive(queue string, limit int) (n int64, err error) {
	for ; n < int64(limit); n++ {
		var seq int64
		var source string
		found, err := t.one(`SELECT seq,source FROM messages WHERE queue=? AND visible<=?
			AND source IN (SELECT name FROM queues) ORDER BY visible,seq LIMIT 1`, []any{queue, t.now}, &seq, &source)
		if err != nil || !found {
			return n, err
		}
		err = t.exec(`UPDATE messages SET queue=source, source='', sent=?1, visible=?1, received=0, first=0, receipt=''
			WHERE seq=?2`, t.now, seq)
		if err != nil {
			return n, err
		}
		t.touch(source)
	}
	return n, nil
}

// Statistics are the numbers of a queue at one moment.
type Statistics struct {
	Visible  int64
	InFlight int64 // received, not deleted, hidden
	Delayed  int64 // never received, not yet visible
	// Age is that of the oldest message that is not deleted, 0 without one: the
	// alarm "queue age" looks at it (SQS: ApproximateAgeOfOldestMessage).
	Age time.Duration
}

// Statistics counts what is in queue. Messages past their retention do not count.
func (s *Store) Statistics(ctx context.Context, queue string) (Statistics, error) {
	var st Statistics
	var oldest, retention int64
	now := s.now()
	err := s.read.QueryRowContext(ctx, `SELECT q.retention, count(m.seq), count(CASE WHEN m.visible<=?1 THEN 1 END),
		count(CASE WHEN m.visible>?1 AND m.receipt<>'' THEN 1 END), coalesce(min(m.sent),?1)
		FROM queues q LEFT JOIN messages m ON m.queue=q.name AND m.sent>?1-q.retention WHERE q.name=?2 GROUP BY q.name`,
		now, queue).Scan(&retention, &st.Delayed, &st.Visible, &st.InFlight, &oldest)
	if errors.Is(err, sql.ErrNoRows) {
		return st, unknown("queue", queue)
	}
	if err != nil {
		return st, s.wrap("count queue "+queue, err)
	}
	st.Delayed -= st.Visible + st.InFlight
	st.Age = time.Duration(max(0, now-oldest)) * time.Millisecond
	return st, nil
}
