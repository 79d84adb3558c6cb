package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Queues are all queues, by name.
func (s *Store) Queues(ctx context.Context) ([]Queue, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT name,visibility,delay,retention,max_receive,coalesce(dead_letter,'') FROM queues ORDER BY name`)
	if err != nil {
		return nil, s.wrap("list queues", err)
	}
	defer rows.Close()
	var all []Queue
	for rows.Next() {
		var q Queue
		var v, d, r int64
		if err := rows.Scan(&q.Name, &v, &d, &r, &q.MaxReceive, &q.DeadLetter); err != nil {
			return nil, s.wrap("list queues", err)
		}
		ms := time.Millisecond
		q.Visibility, q.Delay, q.Retention = time.Duration(v)*ms, time.Duration(d)*ms, time.Duration(r)*ms
		all = append(all, q)
	}
	if err := rows.Err(); err != nil {
		return nil, s.wrap("list queues", err)
	}
	return all, nil
}

// Topics are all topics with the queues that subscribe to them, by name.
func (s *Store) Topics(ctx context.Context) (map[string][]string, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT t.name, coalesce(s.queue,'') FROM topics t
		LEFT JOIN subscriptions s ON s.topic=t.name ORDER BY t.name, s.queue`)
	if err != nil {
		return nil, s.wrap("list topics", err)
	}
	defer rows.Close()
	all := map[string][]string{}
	for rows.Next() {
		var topic, queue string
		if err := rows.Scan(&topic, &queue); err != nil {
			return nil, s.wrap("list topics", err)
		}
		all[topic] = append(all[topic], []string{queue}[:min(1, len(queue))]...)
	}
	if err := rows.Err(); err != nil {
		return nil, s.wrap("list topics", err)
	}
	return all, nil
}

// Peek shows up to limit messages of queue, the oldest first, and changes nothing:
// they have no receipt, and it does not count as a receive.
func (s *Store) Peek(ctx context.Context, queue string, limit int) ([]Message, error) {
	if _, _, err := s.next(ctx, queue); err != nil {
		return nil, err
	}
	rows, err := s.read.QueryContext(ctx, `SELECT m.id,m.body,m.attributes,m.source,m.received,m.sent,m.first FROM messages m
		JOIN queues q ON q.name=m.queue WHERE m.queue=?1 AND m.sent>?2-q.retention ORDER BY m.sent,m.seq LIMIT ?3`, queue, s.now(), limit)
	if err != nil {
		return nil, s.wrap("look into queue "+queue, err)
	}
	defer rows.Close()
	var all []Message
	for rows.Next() {
		var m Message
		var attributes string
		var sent, first int64
		if err := rows.Scan(&m.ID, &m.Body, &attributes, &m.Source, &m.Received, &sent, &first); err != nil {
			return nil, s.wrap("look into queue "+queue, err)
		}
		if err := json.Unmarshal([]byte(attributes), &m.Attributes); err != nil {
			return nil, fmt.Errorf("attributes of message %s: %w", m.ID, err)
		}
		if m.Sent = time.UnixMilli(sent); first != 0 {
			m.First = time.UnixMilli(first)
		}
		all = append(all, m)
	}
	if err := rows.Err(); err != nil {
		return nil, s.wrap("look into queue "+queue, err)
	}
	return all, nil
}

// Oldest is the age of the oldest message of queue, as [Store.Statistics] has it, by
// one look into an index.
func (s *Store) Oldest(ctx context.Context, queue string) (time.Duration, error) {
	var sent int64
	now := s.now()
	err := s.read.QueryRowContext(ctx, `SELECT sent FROM messages WHERE queue=?1
		AND sent>?2-(SELECT retention FROM queues WHERE name=?1) ORDER BY sent LIMIT 1`, queue, now).Scan(&sent)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, s.wrap("look for the oldest message of "+queue, err)
	}
	return time.Duration(max(0, now-sent)) * time.Millisecond, nil
}
