package queue

import (
	"context"
	"fmt"
)

// SetTopic makes a topic, or changes which queues subscribe to it. Messages that
// were published before are not moved.
func (s *Store) SetTopic(ctx context.Context, topic string, queues ...string) error {
	if err := within("name of a topic", "bytes", int64(len(topic)), 1, MaxName); err != nil {
		return err
	}
	return s.change(ctx, func(t *tx) error {
		if err := t.exec(`INSERT OR IGNORE INTO topics(name) VALUES(?)`, topic); err != nil {
			return err
		}
		if err := t.exec(`DELETE FROM subscriptions WHERE topic=?`, topic); err != nil {
			return err
		}
		for _, q := range queues {
			if _, err := t.queue(q); err != nil {
				return fmt.Errorf("subscribe to topic %s: %w", topic, err)
			}
			if err := t.exec(`INSERT OR IGNORE INTO subscriptions(topic,queue) VALUES(?,?)`, topic, q); err != nil {
				return err
			}
		}
		return nil
	})
}

// DropTopic removes a topic; what it has put into queues stays there.
func (s *Store) DropTopic(ctx context.Context, topic string) error {
	return s.change(ctx, func(t *tx) error {
		if err := t.exec(`DELETE FROM subscriptions WHERE topic=?`, topic); err != nil {
			return err
		}
		n, err := t.count(`DELETE FROM topics WHERE name=?`, topic)
		if err == nil && n == 0 {
			err = unknown("topic", topic)
		}
		return err
	})
}

// Publish sends e to every queue that subscribes to topic, in one transaction: all
// get it or none. It returns the id of the message in each queue.
func (s *Store) Publish(ctx context.Context, topic string, e Entry) (map[string]string, error) {
	err := e.check()
	var ids map[string]string
	if err == nil {
		err = s.change(ctx, func(t *tx) (err error) {
			ids, err = t.publish(topic, e)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("publish to %s: %w", topic, err)
	}
	return ids, nil
}

func (t *tx) publish(topic string, e Entry) (map[string]string, error) {
	var name string
	if found, err := t.one(`SELECT name FROM topics WHERE name=?`, []any{topic}, &name); err != nil || !found {
		if err == nil {
			err = unknown("topic", topic)
		}
		return nil, err
	}
	ids := map[string]string{}
	for last := ""; ; {
		found, err := t.one(`SELECT queue FROM subscriptions WHERE topic=? AND queue>? ORDER BY queue LIMIT 1`,
			[]any{topic, last}, &last)
		if err != nil || !found {
			return ids, err
		}
		q, err := t.queue(last)
		if err != nil {
			return nil, err
		}
		if ids[last], err = t.send(q, e, topic); err != nil {
			return nil, err
		}
	}
}
