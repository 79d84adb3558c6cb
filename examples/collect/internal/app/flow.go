package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"titrate/examples/collect/internal/ledger"
)

// Message is what waits in the queues: a pickup with which something is to be done.
type Message struct {
	Pickup string `json:"pickup"`
}

// News is what topics tell: a pickup, and what happened to it.
type News struct {
	Pickup string       `json:"pickup"`
	State  ledger.State `json:"state,omitempty"`
	Money  ledger.Kind  `json:"money,omitempty"`
	Amount int64        `json:"amount,omitempty"`
	Who    string       `json:"who,omitempty"` // the driver, or the facility
}

// The topics.
const (
	Pickups    = "pickups"    // a pickup came to its end
	Payments   = "payments"   // money was captured, or given back
	Drivers    = "drivers"    // a driver has a pickup
	Facilities = "facilities" // items have come to a facility
)

// Next is the queue in which a pickup waits for what follows a state. A pickup that
// was delivered to nobody is put into it again by a timer, so each consumer must bear
// the same message twice.
func Next(s ledger.State) string {
	switch s {
	case ledger.Accepted:
		return "quotes"
	case ledger.Quoted:
		return "holds"
	case ledger.Held:
		return "scheduling"
	case ledger.Scheduled:
		return "assignments"
	case ledger.Assigned:
		return "collections"
	case ledger.Collected:
		return "captures"
	case ledger.Failed, ledger.Cancelled:
		return "refunds"
	}
	return ""
}

// Forward sends a pickup on to what follows its state, and tells of it.
func (a *App) Forward(ctx context.Context, p ledger.Pickup) error {
	if err := a.Bus.Send(ctx, Next(p.State), Message{p.ID}); err != nil {
		return err
	}
	switch p.State {
	case ledger.Collected:
		if err := a.Bus.Send(ctx, "deliveries", Message{p.ID}); err != nil {
			return err
		}
	case ledger.Assigned:
		return a.Bus.Publish(ctx, Drivers, News{Pickup: p.ID, State: p.State, Who: p.Note["driver"]})
	default: // the next queue is all
	}
	if p.State.Over() {
		return a.Bus.Publish(ctx, Pickups, News{Pickup: p.ID, State: p.State})
	}
	return nil
}

// Step writes an entry that brings a pickup into a state, and sends it on. Done before,
// it sends it on only: whoever did it may have died in between. A pickup that has gone
// another way meanwhile is left alone, which is no error: cancelled beats quoted.
func (a *App) Step(ctx context.Context, e ledger.Entry) error {
	if e.Kind == "" {
		e.Kind = ledger.Step
	}
	if e.Request == "" {
		e.Request = e.Pickup + ":" + string(e.State)
	}
	answer, err := a.Ledger.Append(ctx, e)
	switch {
	case errors.Is(err, ledger.ErrState), Other(err): // Other: it came to the same for another reason
		if answer.Pickup.State != e.State {
			return nil
		}
	case err != nil:
		return fmt.Errorf("%s of %s: %w", e.State, e.Pickup, err)
	case answer.Pickup.State != e.State:
		return nil // it has gone on since
	}
	return a.Forward(ctx, answer.Pickup)
}

// Settle writes what became of a pickup's money, once, and tells of it.
func (a *App) Settle(ctx context.Context, p ledger.Pickup, kind ledger.Kind) error {
	_, err := a.Ledger.Append(ctx, ledger.Entry{Request: p.ID + ":settled", Kind: kind, Pickup: p.ID, Amount: p.Quoted})
	if err != nil {
		return fmt.Errorf("%s of %s: %w", kind, p.ID, err)
	}
	if kind == ledger.Lapse {
		return nil
	}
	return a.Bus.Publish(ctx, Payments, News{Pickup: p.ID, Money: kind, Amount: p.Quoted})
}

// Tell notes that somebody was told something over a channel, once.
func (a *App) Tell(ctx context.Context, channel string, n News, text string) error {
	what := string(n.State) + string(n.Money)
	_, err := a.Ledger.Append(ctx, ledger.Entry{
		Request: n.Pickup + ":" + what + ":" + channel, Kind: ledger.Notice, Pickup: n.Pickup, Note: map[string]string{"channel": channel, "text": text},
	})
	if err != nil {
		return fmt.Errorf("tell by %s of %s: %w", channel, n.Pickup, err)
	}
	return nil
}

// Queue makes a consumer of messages of one of pickups. A message that is none, or of a
// pickup that nobody knows, fails and comes to the dead letters.
func (a *App) Queue(do func(ctx context.Context, a *App, p ledger.Pickup) error) func(ctx context.Context, body []byte) error {
	return func(ctx context.Context, body []byte) error {
		var m Message
		if err := json.Unmarshal(body, &m); err != nil || m.Pickup == "" {
			return fmt.Errorf("%w: %.100q", errNone, body)
		}
		p, err := a.Ledger.Pickup(ctx, m.Pickup)
		if err != nil {
			return fmt.Errorf("look up %s: %w", m.Pickup, err)
		}
		return do(ctx, a, p)
	}
}

// errNone marks a message that will never be understood.
var errNone = errors.New("the message names no pickup")

// Dead makes a consumer of dead letters of one of pickups. What names no pickup, or one
// that nobody knows, is noted and dropped: there is nowhere else to bring it.
func (a *App) Dead(do func(ctx context.Context, a *App, p ledger.Pickup) error) func(ctx context.Context, body []byte) error {
	consume := a.Queue(do)
	return func(ctx context.Context, body []byte) error {
		err := consume(ctx, body)
		if errors.Is(err, errNone) || errors.Is(err, ledger.ErrUnknown) {
			a.Log.LogAttrs(ctx, slog.LevelError, "a dead letter is dropped", slog.String("message", string(body)), slog.String("error", err.Error()))
			return nil
		}
		return err
	}
}

// Topic makes a subscriber of one for news.
func (a *App) Topic(do func(ctx context.Context, a *App, n News) error) func(ctx context.Context, message []byte) error {
	return func(ctx context.Context, message []byte) error {
		var n News
		if err := json.Unmarshal(message, &n); err != nil || n.Pickup == "" {
			return fmt.Errorf("the message %.100q is no news of a pickup", message)
		}
		return do(ctx, a, n)
	}
}
