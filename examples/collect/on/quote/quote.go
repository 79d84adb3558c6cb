// Package quote says what a pickup costs.
package quote

import (
	"context"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle quotes a pickup that was accepted.
func Handle(ctx context.Context, a *app.App, p ledger.Pickup) error {
	return a.Step(ctx, ledger.Entry{Kind: ledger.Quote, Pickup: p.ID, From: []ledger.State{ledger.Accepted}, State: ledger.Quoted, Amount: app.Price(p.Note["item"])})
}
