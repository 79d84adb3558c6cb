package events

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"titrate/internal/queue"
	"titrate/internal/rollout"
)

// How events of a function's own queue are tried again, as Lambda does with asynchronous
// invocations ("How Lambda handles errors and retries with asynchronous invocation").
const (
	tries    = 3
	maxAge   = 6 * time.Hour
	oneRetry = time.Minute // after the first try; twice that after the second
)

// deliver calls the function with a batch, and stores what became of its messages.
func (p *poller) deliver(ctx context.Context, b batch) passage {
	release := p.hold(ctx, b)
	defer release()
	if b.trigger == nil {
		m := b.messages[0]
		if age := p.e.clock.Now().Sub(m.Sent); age > maxAge {
			p.log().Warn("an event was given up: it is too old", slog.String("event", m.ID), slog.Duration("age", age))
			p.settle(b, queue.Settlement{GivenUp: b.receipts()})
			return idle
		}
		// It would be tried for hours, and hold up those behind it; Lambda gives it up, too.
		if v, _, err := which(m); err == nil && v != 0 && !slices.Contains(b.run, v) {
			p.log().Warn("an event was given up: the version that it is for runs no more", slog.String("event", m.ID), slog.String("version", v.String()))
			p.settle(b, queue.Settlement{GivenUp: b.receipts()})
			return idle
		}
	}
	failed, unreached := p.attempt(ctx, b)
	bad := map[string]bool{}
	st := queue.Settlement{Retry: b.retry(p.e.clock.Now())}
	for _, m := range failed {
		bad[m.ID], st.Failed = true, append(st.Failed, m.Receipt)
	}
	for _, m := range unreached {
		bad[m.ID], st.Unreached = true, append(st.Unreached, m.Receipt)
	}
	for _, m := range b.messages {
		if !bad[m.ID] {
			st.Handled = append(st.Handled, m.Receipt)
		}
	}
	p.settle(b, st)
	if len(unreached) > 0 {
		return refused
	}
	return passed
}

// retry is how long failed messages stay hidden: those of a queue for what is left of
// their visibility, as if nobody had settled them.
func (b batch) retry(now time.Time) time.Duration {
	if b.trigger == nil {
		return oneRetry * time.Duration(max(1, b.messages[0].Received))
	}
	return max(0, settled(queueOf(b.trigger.Queue)).Visibility-now.Sub(b.received))
}

// attempt calls the function with b, and the stable version with what another one failed
// (R25). It returns the messages that failed for good and those that reached nobody.
func (p *poller) attempt(ctx context.Context, b batch) (failed, unreached []queue.Message) {
	event, err := p.event(b)
	if err != nil {
		p.log().Error("an event cannot be made of messages", slog.Any("err", err))
		return b.messages, nil
	}
	failed, by, reached := p.once(ctx, b, event)
	if !reached {
		return nil, b.messages
	}
	again := len(failed) > 0 && !by.Stable && b.stable != 0 && by.Version != b.stable && event.Version == 0
	if again {
		b.messages = failed
		id := event.ID
		if event, err = p.event(b); err != nil {
			return failed, nil
		}
		event.ID, event.Stable = id, true
		if failed, by, reached = p.once(ctx, b, event); !reached {
			return nil, b.messages
		}
	}
	if len(failed) > 0 {
		p.log().Info("a function failed events", slog.String("version", by.Version.String()),
			slog.String("event", event.ID), slog.Int("messages", len(failed)), slog.String("why", why(by)))
	}
	return failed, nil
}

// once makes one call and reads which messages failed. The function was not reached when
// there is an error, and when it was not to blame.
func (p *poller) once(ctx context.Context, b batch, event Event) (failed []queue.Message, by Delivered, reached bool) {
	calling, cancel := context.WithTimeout(ctx, b.timeout+b.start+margin)
	defer cancel()
	by, err := p.e.cfg.Deliver(calling, b.key, event)
	if err != nil {
		p.log().Debug("a function was not reached", slog.Any("err", err))
		return nil, by, false
	}
	switch {
	case by.Failure != "" && !by.Failure.Reached():
		return nil, by, false
	case by.Failure != "":
		return b.messages, by, true
	case b.trigger == nil || b.trigger.Whole:
		if by.Failed {
			return b.messages, by, true
		}
		return nil, by, true
	}
	bad := failedItems(by.Answer, b.ids())
	for _, m := range b.messages {
		if bad[m.ID] {
			failed = append(failed, m)
		}
	}
	if by.Failed && len(failed) == 0 {
		failed = b.messages
	}
	return failed, by, true
}

// event makes the event of a batch.
func (p *poller) event(b batch) (Event, error) {
	var err error
	if b.trigger != nil {
		e := Event{ID: p.e.cfg.NewID(), Source: "queue " + b.queue}
		if !b.trigger.Whole {
			ids := b.ids()
			e.Bad = func(answer []byte) bool { return len(failedItems(answer, ids)) == len(ids) }
		}
		e.Payload, err = sqsEvent(b.queue, b.messages)
		return e, err
	}
	m := b.messages[0]
	e := Event{ID: m.Attributes[attrID], Payload: m.Body, Source: m.Attributes[attrKind]}
	if s := m.Attributes[attrSource]; s != "" {
		e.Source += " " + s
	}
	switch m.Attributes[attrKind] {
	case kindTopic:
		e.ID = stableID(m, b.key)
		e.Payload, err = snsEvent(m, b.key.Workload)
	case kindTimer:
		e.ID = stableID(m, b.key)
	default:
		e.Version, e.Stable, err = which(m)
	}
	if err == nil && !json.Valid(e.Payload) {
		e.Payload, err = json.Marshal(string(e.Payload)) // as Lambda would refuse it: nothing stored is dropped for it
	}
	return e, err
}

// which is the version that an invocation asks for.
func which(m queue.Message) (v rollout.Version, stable bool, err error) {
	switch s := m.Attributes[attrVersion]; s {
	case "":
		return 0, false, nil
	case versionStable:
		return 0, true, nil
	default:
		n, err := strconv.Atoi(s)
		return rollout.Version(n), false, err
	}
}

// hold keeps the messages of a call that is under way hidden.
func (p *poller) hold(ctx context.Context, b batch) (release func()) {
	holding, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		hidden := b.hidden()
		for p.e.wait(holding, p.e.clock.Now().Add(hidden/3)) == nil {
			for _, receipt := range b.receipts() {
				if err := p.place.store.ChangeVisibility(holding, b.queue, receipt, hidden); err != nil && holding.Err() == nil {
					p.log().Warn("a message could not be kept hidden; it may be delivered twice", slog.Any("err", err))
				}
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}
