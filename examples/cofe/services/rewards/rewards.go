// Package rewards gives customers points for what they buy: one for each whole
// unit of money, at least one an order.
package rewards

import (
	"context"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/idem"
	"titrate/examples/cofe/internal/ledger"
	"titrate/examples/cofe/internal/money"
	"titrate/examples/cofe/internal/outbox"
	"titrate/examples/cofe/internal/participant"
	"titrate/examples/cofe/internal/service"
)

// Name is the service's name.
const Name = "rewards"

func customer(id string) ledger.Account { return ledger.Account("customer:" + id) }

// Setup makes a process the service.
func Setup(ctx context.Context, s *service.Service) error {
	err := s.DB.Migrate(ctx, ledger.Migrations(), idem.Migrations(), participant.Migrations(), outbox.Migrations())
	if err != nil {
		return err
	}
	s.Sweep(idem.Sweep, outbox.Sweep)
	participant.Register(s, participant.Step{
		Path: "/rewards/points",
		Effect: func(ask participant.Ask) (participant.Effect, []ledger.Entry) {
			e := participant.Effect{Order: ask.Order, Account: customer(ask.Account), Amount: points(ask.Amount)}
			return e, ledger.Move(ledger.House("points"), e.Account, e.Amount)
		},
		Reverse: func(e participant.Effect) []ledger.Entry {
			return ledger.Move(e.Account, ledger.House("points"), e.Amount)
		},
		After: func(ctx context.Context, tx db.Tx, e participant.Effect) error {
			return outbox.Append(ctx, tx, "points.earned", e.Order, e)
		},
	})
	participant.RegisterAudit(s, "/rewards")
	participant.RegisterBalance(s, "/rewards", customer)
	outbox.Register(s.Mux, "/rewards", s.DB, s.Log)
	return nil
}

// points returns what an amount earns. A yen is small: a hundred are a unit.
func points(a money.Amount) money.Amount {
	unit := int64(1)
	digits, _ := a.Currency.Exponent()
	if digits == 0 {
		digits = 2
	}
	for range digits {
		unit *= 10
	}
	return money.Amount{Minor: max(1, a.Minor/unit), Currency: money.Points}
}
