package events

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"titrate/internal/queue"
)

// poller takes messages of one queue and calls one function with them.
type poller struct {
	e     *Events
	place *place
	call  atomic.Pointer[call] // as the last world has it
	gate  *gate
}

// margin is added to a function's timeout: for the call's own way.
const margin = 30 * time.Second

// maxPayload bounds the bodies of a batch, so that with what JSON adds it stays below the
// 6 MiB of an event.
const maxPayload = 2 << 20

// batch is messages that were received, to be delivered in one call.
type batch struct {
	call
	messages []queue.Message
	received time.Time // when the first was
}

func (b batch) receipts() []string {
	all := make([]string, len(b.messages))
	for i, m := range b.messages {
		all[i] = m.Receipt
	}
	return all
}

func (b batch) ids() []string {
	all := make([]string, len(b.messages))
	for i, m := range b.messages {
		all[i] = m.ID
	}
	return all
}

func (p *poller) log() *slog.Logger {
	c := p.call.Load()
	return p.e.log.With(slog.String("app", c.key.App), slog.String("env", c.key.Env), slog.String("workload", c.key.Workload), slog.String("queue", c.queue))
}

// atOnce is how many calls there may be at a time.
func (c call) atOnce() int {
	if c.trigger != nil && c.trigger.Most > 0 {
		return c.trigger.Most
	}
	return c.most
}

// run collects batches until collecting ends, and returns when the last call is over.
// Calls that are under way go on until work ends.
func (p *poller) run(collecting, work context.Context) {
	var calls sync.WaitGroup
	defer calls.Wait()
	trouble := 0
	for {
		round, err := p.gate.enter(collecting, p.e)
		if err != nil {
			return
		}
		b, err := p.collect(collecting)
		if err != nil || len(b.messages) == 0 {
			p.gate.leave(idle, round, p.e.clock.Now())
			if err == nil {
				continue
			}
			if collecting.Err() != nil || errors.Is(err, queue.ErrClosed) {
				return
			}
			p.log().Error("a queue cannot be received from; it is tried again", slog.Any("err", err))
			trouble = min(trouble+1, 6)
			if p.e.wait(collecting, p.e.clock.Now().Add(time.Second<<trouble)) != nil {
				return
			}
			continue
		}
		trouble = 0
		calls.Go(func() {
			done := p.deliver(work, b)
			p.gate.leave(done, round, p.e.clock.Now())
		})
	}
}

// hidden is for how long messages are received: as their queue says, and not shorter
// than a call takes. While a call goes on it is prolonged.
func (c call) hidden() time.Duration {
	v := c.timeout + margin
	if c.trigger != nil {
		v = max(v, settled(queueOf(c.trigger.Queue)).Visibility) + c.trigger.Window
	}
	return min(v, queue.MaxVisibility)
}

// collect waits for messages and receives a batch of them.
func (p *poller) collect(ctx context.Context) (batch, error) {
	if err := p.place.store.Wait(ctx, p.call.Load().queue); err != nil {
		return batch{}, err
	}
	b := batch{call: *p.call.Load(), received: p.e.clock.Now()}
	most, window := 1, time.Duration(0)
	if b.trigger != nil {
		most, window = max(1, b.trigger.Batch), b.trigger.Window
	}
	size := 0
	until := b.received.Add(window)
	for len(b.messages) < most && size < maxPayload {
		got, err := p.place.store.Receive(ctx, b.queue, min(most-len(b.messages), queue.MaxBatch), b.hidden())
		if err != nil {
			p.giveBack(b)
			return batch{}, err
		}
		for _, m := range got {
			size += len(m.Body)
		}
		b.messages = append(b.messages, got...)
		if len(got) > 0 {
			continue
		}
		if len(b.messages) == 0 || window == 0 || !p.e.clock.Now().Before(until) {
			break
		}
		if err := p.place.await(ctx, p.e, b.queue, until); err != nil {
			p.giveBack(b)
			return batch{}, err
		}
	}
	return b, nil
}

// giveBack returns messages that nobody was called with.
func (p *poller) giveBack(b batch) {
	if len(b.messages) > 0 {
		p.settle(b, queue.Settlement{Unreached: b.receipts()})
	}
}

// settleTimeout bounds the writing of what became of messages, which also the end of the
// node waits for.
const settleTimeout = 10 * time.Second

// settle stores what became of messages. If that fails they come back when their
// visibility ends.
func (p *poller) settle(b batch, all queue.Settlement) {
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	for len(all.Handled)+len(all.Failed)+len(all.Unreached)+len(all.GivenUp) > 0 {
		st := queue.Settlement{Retry: all.Retry}
		left := queue.MaxBatch
		take := func(from *[]string) []string {
			n := min(left, len(*from))
			taken := (*from)[:n]
			*from, left = (*from)[n:], left-n
			return taken
		}
		st.Handled, st.GivenUp, st.Failed, st.Unreached = take(&all.Handled), take(&all.GivenUp), take(&all.Failed), take(&all.Unreached)
		done, err := p.place.store.Settle(ctx, b.queue, st)
		if err != nil {
			p.log().Error("what became of messages was not stored; they will be delivered again", slog.Any("err", err))
			return
		}
		if done.Dead > 0 {
			p.log().Warn("messages were given up and lie in the dead-letter queue", slog.Int("count", done.Dead))
		}
	}
}
