// Package giveup ends what no function could do.
package giveup

import (
	"context"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle fails a pickup whose message was given up. One that has its end already keeps
// it.
func Handle(ctx context.Context, a *app.App, p ledger.Pickup) error {
	return a.Step(ctx, ledger.Entry{Pickup: p.ID, From: ledger.Open(), State: ledger.Failed, Note: map[string]string{"why": "it was tried too often"}})
}
