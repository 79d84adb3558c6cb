package queue

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"
)

// DuplicateWindow is how long a deduplication id is remembered, as by SQS ("Using
// the message deduplication ID in Amazon SQS").
const DuplicateWindow = 5 * time.Minute

// Entry is a message to be sent.
type Entry struct {
	Body       []byte
	Attributes map[string]string
	Delay      time.Duration // 0: the queue's
	// Dedup, when it is not empty, makes sending again safe: within
	// [DuplicateWindow] the same one gets the first message's id and adds nothing.
	Dedup string
}

func (e Entry) size() int64 {
	n := len(e.Body)
	for k, v := range e.Attributes {
		n += len(k) + len(v)
	}
	return int64(n)
}

func (e Entry) check() error {
	if err := within("body with attributes", "bytes", e.size(), 0, MaxBody); err != nil {
		return err
	}
	if err := within("deduplication id", "bytes", int64(len(e.Dedup)), 0, 128); err != nil {
		return err
	}
	return span("delay", e.Delay, 0, MaxDelay)
}

// Send puts a message into queue and returns its id. It returns nil when the
// message is on disk; with any error the caller has to send again.
func (s *Store) Send(ctx context.Context, queue string, e Entry) (string, error) {
	if err := e.check(); err != nil {
		return "", fmt.Errorf("send to %s: %w", queue, err)
	}
	var id string
	err := s.change(ctx, func(t *tx) (err error) {
		q, err := t.queue(queue)
		if err != nil {
			return err
		}
		id, err = t.send(q, e, "")
		return err
	})
	if err != nil {
		return "", fmt.Errorf("send to %s: %w", queue, err)
	}
	return id, nil
}

// Sent is what became of one entry of a batch.
type Sent struct {
	ID  string
	Err error // the entry was not accepted
}

// SendBatch sends up to [MaxBatch] entries in one transaction. An entry over a
// limit is refused alone; an error says that none was accepted.
func (s *Store) SendBatch(ctx context.Context, queue string, entries []Entry) ([]Sent, error) {
	if err := within("batch", "entries", int64(len(entries)), 1, MaxBatch); err != nil {
		return nil, fmt.Errorf("send to %s: %w", queue, err)
	}
	sent := make([]Sent, len(entries))
	var size int64
	for i, e := range entries {
		if sent[i].Err = e.check(); sent[i].Err == nil {
			size += e.size()
		}
	}
	if err := within("batch", "bytes", size, 0, MaxBody); err != nil {
		return nil, fmt.Errorf("send to %s: %w", queue, err)
	}
	err := s.change(ctx, func(t *tx) error {
		q, err := t.queue(queue)
		if err != nil {
			return err
		}
		for i, e := range entries {
			if sent[i].Err != nil {
				continue
			}
			if sent[i].ID, err = t.send(q, e, ""); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("send to %s: %w", queue, err)
	}
	return sent, nil
}

// send inserts a message, or finds the one that was sent with the same
// deduplication id to the same place: the queue itself, or a topic.
func (t *tx) send(q Queue, e Entry, topic string) (string, error) {
	key := topic + "\x00" + e.Dedup
	if e.Dedup != "" {
		if err := t.exec(`DELETE FROM duplicates WHERE until<=?`, t.now); err != nil {
			return "", err
		}
		var id string
		found, err := t.one(`SELECT id FROM duplicates WHERE queue=? AND key=?`, []any{q.Name, key}, &id)
		if found || err != nil {
			return id, err
		}
	}
	attributes, err := json.Marshal(e.Attributes)
	if err != nil {
		return "", err
	}
	delay := e.Delay
	if delay == 0 {
		delay = q.Delay
	}
	id := rand.Text()
	body := e.Body
	if body == nil {
		body = []byte{}
	}
	err = t.exec(`INSERT INTO messages(id,queue,body,attributes,sent,visible) VALUES(?,?,?,?,?,?)`,
		id, q.Name, body, string(attributes), t.now, t.now+millis(delay))
	if err == nil && e.Dedup != "" {
		err = t.exec(`INSERT INTO duplicates(queue,key,id,until) VALUES(?,?,?,?)`, q.Name, key, id, t.now+millis(DuplicateWindow))
	}
	t.touch(q.Name)
	return id, err
}
