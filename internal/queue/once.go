package queue

import (
	"context"
	"fmt"
)

// SendOnce puts a message into queue when n is larger than the number that was last
// sent under the name of mark, and remembers n, in one transaction: whatever crashes,
// what has a number is sent once. It reports whether it sent.
func (s *Store) SendOnce(ctx context.Context, queue, mark string, n int64, e Entry) (bool, error) {
	err := e.check()
	var sent bool
	if err == nil {
		err = s.change(ctx, func(t *tx) error {
			q, err := t.queue(queue)
			if err != nil {
				return err
			}
			var last int64
			if found, err := t.one(`SELECT at FROM marks WHERE name=?`, []any{mark}, &last); err != nil || found && last >= n {
				return err
			}
			if err := t.exec(`INSERT INTO marks(name,at) VALUES(?,?) ON CONFLICT(name) DO UPDATE SET at=excluded.at`, mark, n); err != nil {
				return err
			}
			sent = true
			_, err = t.send(q, e, "")
			return err
		})
	}
	if err != nil {
		return false, fmt.Errorf("send once to %s: %w", queue, err)
	}
	return sent, nil
}

// SetMark remembers n under the name of mark, unless a number is remembered already.
func (s *Store) SetMark(ctx context.Context, mark string, n int64) error {
	return s.change(ctx, func(t *tx) error {
		return t.exec(`INSERT OR IGNORE INTO marks(name,at) VALUES(?,?)`, mark, n)
	})
}

// DropMark forgets what was sent under the name of mark.
func (s *Store) DropMark(ctx context.Context, mark string) error {
	return s.change(ctx, func(t *tx) error { return t.exec(`DELETE FROM marks WHERE name=?`, mark) })
}

// Marks are the numbers that are remembered.
func (s *Store) Marks(ctx context.Context) (map[string]int64, error) {
	marks := map[string]int64{}
	rows, err := s.read.QueryContext(ctx, `SELECT name,at FROM marks`)
	if err != nil {
		return nil, s.wrap("list marks", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var n int64
		if err := rows.Scan(&name, &n); err != nil {
			return nil, s.wrap("list marks", err)
		}
		marks[name] = n
	}
	if err := rows.Err(); err != nil {
		return nil, s.wrap("list marks", err)
	}
	return marks, nil
}
