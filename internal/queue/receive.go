package queue

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Message is one that was received.
type Message struct {
	ID         string
	Body       []byte
	Attributes map[string]string
	Receipt    string // good until it is received again
	Source     string // in a dead-letter queue: the queue that gave it up
	Received   int    // times, this one too
	Sent       time.Time
	First      time.Time // when it was received for the first time
}

// Receive gives out up to limit visible messages of queue and hides them for
// visibility (0: the queue's own). Messages that were received as often as the
// queue allows go to its dead-letter queue instead, in the same transaction.
func (s *Store) Receive(ctx context.Context, queue string, limit int, visibility time.Duration) ([]Message, error) {
	err := within("batch", "messages", int64(limit), 1, MaxBatch)
	if err == nil {
		err = span("visibility", visibility, 0, MaxVisibility)
	}
	var got []Message
	if err == nil {
		err = s.change(ctx, func(t *tx) (err error) {
			got, err = t.receive(queue, limit, visibility)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("receive from %s: %w", queue, err)
	}
	return got, nil
}

func (t *tx) receive(queue string, limit int, visibility time.Duration) ([]Message, error) {
	q, err := t.queue(queue)
	if err != nil {
		return nil, err
	}
	if visibility == 0 {
		visibility = q.Visibility
	}
	if err := t.exec(`DELETE FROM messages WHERE queue=? AND sent<=?`, queue, t.now-millis(q.Retention)); err != nil {
		return nil, err
	}
	if q.MaxReceive > 0 {
		if _, err := t.giveUp(q, `visible<=?4 AND received>=?5`, t.now, q.MaxReceive); err != nil {
			return nil, err
		}
	}
	var got []Message
	for len(got) < limit {
		var m Message
		var seq, sent, first int64
		var attributes string
		found, err := t.one(`SELECT seq,id,body,attributes,source,received,sent,first FROM messages
			WHERE queue=? AND visible<=? ORDER BY visible,seq LIMIT 1`, []any{queue, t.now},
			&seq, &m.ID, &m.Body, &attributes, &m.Source, &m.Received, &sent, &first)
		if err != nil {
			return nil, err
		}
		if !found {
			break
		}
		if err := json.Unmarshal([]byte(attributes), &m.Attributes); err != nil {
			return nil, fmt.Errorf("attributes of message %s: %w", m.ID, err)
		}
		if m.Received++; first == 0 {
			first = t.now
		}
		m.Receipt = fmt.Sprintf("%d.%s", seq, rand.Text())
		m.Sent, m.First = time.UnixMilli(sent), time.UnixMilli(first)
		// At least a millisecond, so that no call gives out one message twice.
		err = t.exec(`UPDATE messages SET visible=?,received=?,first=?,receipt=? WHERE seq=?`,
			t.now+max(1, millis(visibility)), m.Received, first, m.Receipt, seq)
		if err != nil {
			return nil, err
		}
		got = append(got, m)
	}
	return got, nil
}

// giveUp moves the messages of q that where chooses to its dead-letter queue. They
// keep the time at which they were sent, as in SQS: retention goes on.
func (t *tx) giveUp(q Queue, where string, args ...any) (int64, error) {
	n, err := t.count(`UPDATE messages SET queue=?1, source=?2, visible=?3, received=0, first=0, receipt=''
		WHERE queue=?2 AND `+where, append([]any{q.DeadLetter, q.Name, t.now}, args...)...)
	if n > 0 {
		t.touch(q.DeadLetter)
	}
	return n, err
}

// seq reads the row out of a receipt; what is no receipt gives no row.
func seq(receipt string) int64 {
	n, _, _ := strings.Cut(receipt, ".")
	i, err := strconv.ParseInt(n, 10, 64)
	if err != nil || receipt == "" {
		return -1
	}
	return i
}
