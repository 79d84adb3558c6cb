package queue

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Delete removes the message that receipt was given for. A receipt that is not the
// message's newest deletes nothing and is an [ErrStale].
func (s *Store) Delete(ctx context.Context, queue, receipt string) error {
	return s.change(ctx, func(t *tx) error {
		if _, err := t.queue(queue); err != nil {
			return err
		}
		deleted, err := t.delete(queue, receipt)
		if err == nil && !deleted {
			err = fmt.Errorf("delete from %s: %w", queue, ErrStale)
		}
		return err
	})
}

func (t *tx) delete(queue, receipt string) (bool, error) {
	n, err := t.count(`DELETE FROM messages WHERE seq=? AND queue=? AND receipt=?`, seq(receipt), queue, receipt)
	return n > 0, err
}

// ChangeVisibility hides a message in flight for visibility from now on; 0 gives it
// back at once. A message that is no longer in flight is an [ErrStale].
func (s *Store) ChangeVisibility(ctx context.Context, queue, receipt string, visibility time.Duration) error {
	if err := span("visibility", visibility, 0, MaxVisibility); err != nil {
		return fmt.Errorf("change visibility in %s: %w", queue, err)
	}
	return s.change(ctx, func(t *tx) error {
		if _, err := t.queue(queue); err != nil {
			return err
		}
		n, err := t.count(`UPDATE messages SET visible=? WHERE seq=? AND queue=? AND receipt=? AND visible>?`,
			t.now+millis(visibility), seq(receipt), queue, receipt, t.now)
		if err == nil && n == 0 {
			err = fmt.Errorf("change visibility in %s: %w", queue, ErrStale)
		}
		t.touch(queue)
		return err
	})
}

// Settlement is what became of the messages that a function was called with.
type Settlement struct {
	Handled []string      // receipts of messages to delete
	Failed  []string      // receipts of messages to give out again
	Retry   time.Duration // how long the failed stay hidden; 0: they are visible at once
	// Unreached are receipts of messages whose function was not there: they are visible
	// at once, as if they had not been received.
	Unreached []string
	// GivenUp are receipts of messages to put into the dead-letter queue now, however
	// often they were received; a queue that has none gives them out again.
	GivenUp []string
}

// all are the receipts of a settlement.
func (st Settlement) all() int {
	return len(st.Handled) + len(st.Failed) + len(st.Unreached) + len(st.GivenUp)
}

// Settled says what a settlement did.
type Settled struct {
	Stale []string // receipts for which nothing was done
	Dead  int      // failed messages that went to the dead-letter queue
}

// Settle deletes the handled messages and gives back the failed, in one
// transaction. A failed message that was received as often as its queue allows
// goes to the dead-letter queue now. A receipt is spent by it, whatever became of its
// message. Stale receipts do not spoil the others.
func (s *Store) Settle(ctx context.Context, queue string, st Settlement) (Settled, error) {
	err := within("settlement", "receipts", int64(st.all()), 0, MaxBatch)
	if err == nil {
		err = span("retry", st.Retry, 0, MaxVisibility)
	}
	var done Settled
	if err == nil {
		err = s.change(ctx, func(t *tx) (err error) {
			done, err = t.settle(queue, st)
			return err
		})
	}
	if err != nil {
		return Settled{}, fmt.Errorf("settle messages of %s: %w", queue, err)
	}
	return done, nil
}

func (t *tx) settle(queue string, st Settlement) (Settled, error) {
	var done Settled
	q, err := t.queue(queue)
	if err != nil {
		return done, err
	}
	for _, r := range st.Handled {
		deleted, err := t.delete(queue, r)
		if err != nil {
			return done, err
		}
		if !deleted {
			done.Stale = append(done.Stale, r)
		}
	}
	for _, r := range append(slices.Clone(st.GivenUp), st.Failed...) {
		least := q.MaxReceive
		if slices.Contains(st.GivenUp, r) {
			least = 0
		}
		if q.DeadLetter != "" {
			n, err := t.giveUp(q, `seq=?4 AND receipt=?5 AND received>=?6`, seq(r), r, least)
			if err != nil {
				return done, err
			}
			if n > 0 {
				done.Dead++
				continue
			}
		}
		if err := t.again(`visible=?,receipt=?`, queue, r, &done, t.now+millis(st.Retry), spent); err != nil {
			return done, err
		}
	}
	for _, r := range st.Unreached {
		if err := t.again(`visible=?,receipt='',received=max(0,received-1)`, queue, r, &done, t.now); err != nil {
			return done, err
		}
	}
	t.touch(queue)
	return done, nil
}

// spent stands for the receipt of a message that is given out again: nobody has it.
const spent = "-"

// again changes the message that receipt was given for, or counts the receipt as stale.
func (t *tx) again(set, queue, receipt string, done *Settled, args ...any) error {
	n, err := t.count(`UPDATE messages SET `+set+` WHERE seq=? AND queue=? AND receipt=?`, append(args, seq(receipt), queue, receipt)...)
	if err == nil && n == 0 {
		done.Stale = append(done.Stale, receipt)
	}
	return err
}

// Release gives back all messages of queue that are in flight, as if they had not been
// received, and returns how many. It is for a queue whose only receiver was killed: those
// that the receiver had settled as failed keep their count, and stay hidden.
func (s *Store) Release(ctx context.Context, queue string) (int64, error) {
	var n int64
	err := s.change(ctx, func(t *tx) (err error) {
		n, err = t.count(`UPDATE messages SET visible=?, receipt='', received=max(0,received-1)
			WHERE queue=? AND receipt NOT IN ('',?)`, t.now, queue, spent)
		t.touch(queue)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("release messages of %s: %w", queue, err)
	}
	return n, nil
}
