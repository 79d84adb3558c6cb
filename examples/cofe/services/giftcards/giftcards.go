// Package giftcards keeps gift cards: an order redeems a part of one, or gives
// it back.
package giftcards

import (
	"context"
	"fmt"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/idem"
	"titrate/examples/cofe/internal/ledger"
	"titrate/examples/cofe/internal/participant"
	"titrate/examples/cofe/internal/seed"
	"titrate/examples/cofe/internal/service"
)

// Name is the service's name.
const Name = "giftcards"

func card(code string) ledger.Account { return ledger.Account("giftcard:" + code) }

// Setup makes a process the service.
func Setup(ctx context.Context, s *service.Service) error {
	err := s.DB.Migrate(ctx, ledger.Migrations(), idem.Migrations(), participant.Migrations(),
		[]db.Migration{{Name: "giftcards-seed-1", Then: firstDay}})
	if err != nil {
		return err
	}
	s.Sweep(idem.Sweep)
	participant.Register(s, participant.Step{
		Path: "/giftcards/redemptions",
		Effect: func(ask participant.Ask) (participant.Effect, []ledger.Entry) {
			e := participant.Effect{Order: ask.Order, Account: card(ask.Account), Amount: ask.Amount}
			return e, ledger.Move(e.Account, ledger.House("sales"), ask.Amount)
		},
		Reverse: func(e participant.Effect) []ledger.Entry {
			return ledger.Move(ledger.House("sales"), e.Account, e.Amount)
		},
	})
	participant.RegisterAudit(s, "/giftcards")
	participant.RegisterBalance(s, "/giftcards", card)
	return nil
}

// firstDay issues the gift cards.
func firstDay(ctx context.Context, tx db.Tx) error {
	for n := 1; n <= seed.GiftCards; n++ {
		code, value := seed.GiftCard(n)
		if err := ledger.Post(ctx, tx, "seed:"+code, ledger.Move(ledger.House("issued"), card(code), value)); err != nil {
			return fmt.Errorf("seed %s: %w", code, err)
		}
	}
	return nil
}
