// Package credits keeps what customers have in credits: an order holds them,
// gives them back, or, once it is confirmed, spends them.
package credits

import (
	"context"
	"encoding/json"
	"fmt"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/idem"
	"titrate/examples/cofe/internal/ledger"
	"titrate/examples/cofe/internal/outbox"
	"titrate/examples/cofe/internal/participant"
	"titrate/examples/cofe/internal/seed"
	"titrate/examples/cofe/internal/service"
)

// Name is the service's name.
const Name = "credits"

func customer(id string) ledger.Account { return ledger.Account("customer:" + id) }

func held(order string) ledger.Account { return ledger.Account("held:" + order) }

// Setup makes a process the service.
func Setup(ctx context.Context, s *service.Service) error {
	err := s.DB.Migrate(ctx, ledger.Migrations(), idem.Migrations(), participant.Migrations(), outbox.InboxMigrations(),
		[]db.Migration{{Name: "credits-seed-1", Then: firstDay}})
	if err != nil {
		return err
	}
	orders, err := s.URL("orders")
	if err != nil {
		return err
	}
	s.Sweep(idem.Sweep, outbox.SweepInbox)
	participant.Register(s, participant.Step{
		Path: "/credits/holds",
		Effect: func(ask participant.Ask) (participant.Effect, []ledger.Entry) {
			e := participant.Effect{Order: ask.Order, Account: customer(ask.Account), Amount: ask.Amount}
			return e, ledger.Move(e.Account, held(ask.Order), ask.Amount)
		},
		Reverse: func(e participant.Effect) []ledger.Entry { return ledger.Move(held(e.Order), e.Account, e.Amount) },
	})
	participant.RegisterAudit(s, "/credits")
	participant.RegisterBalance(s, "/credits", customer)
	s.Background("settle", outbox.Consumer{
		Name: "credits", Owner: s.Owner, Source: "orders", URL: orders, DB: s.DB, Client: s.Client, Log: s.Log, Apply: settle,
	}.Run)
	return nil
}

// settle spends what a confirmed order holds.
func settle(ctx context.Context, tx db.Tx, e outbox.Event) error {
	if e.Topic != "order.confirmed" {
		return nil
	}
	var order struct {
		Credits int64 `json:"credits"`
	}
	if err := json.Unmarshal(e.Payload, &order); err != nil {
		return err
	}
	if order.Credits == 0 {
		return nil
	}
	effect, err := participant.Of(ctx, tx, e.Subject)
	if err != nil {
		return err
	}
	_, err = participant.Move(ctx, tx, e.Subject, participant.Done, participant.Settled,
		ledger.Move(held(e.Subject), ledger.House("sales"), effect.Amount))
	return err
}

// firstDay gives every customer credits.
func firstDay(ctx context.Context, tx db.Tx) error {
	for n := 1; n <= seed.Customers; n++ {
		id, currency := seed.Customer(n)
		if err := ledger.Post(ctx, tx, "seed:"+id, ledger.Move(ledger.House("granted"), customer(id), seed.Credits(currency))); err != nil {
			return fmt.Errorf("seed %s: %w", id, err)
		}
	}
	return nil
}
