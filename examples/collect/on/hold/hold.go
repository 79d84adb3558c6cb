// Package hold asks the customer's bank to hold what a pickup costs.
package hold

import (
	"context"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle holds the money of a pickup, or cancels it where the bank refuses.
func Handle(ctx context.Context, a *app.App, p ledger.Pickup) error {
	to, note := ledger.Held, map[string]string{}
	if p.Note["card"] == app.Declined {
		to, note["why"] = ledger.Cancelled, "the card was declined"
	}
	return a.Step(ctx, ledger.Entry{Pickup: p.ID, From: []ledger.State{ledger.Quoted}, State: to, Note: note})
}
