// Package schedule gives a pickup its time.
package schedule

import (
	"context"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle chooses a slot for a pickup that is paid for.
func Handle(ctx context.Context, a *app.App, p ledger.Pickup) error {
	slot := app.Pick(p.ID, app.Slots())
	return a.Step(ctx, ledger.Entry{Pickup: p.ID, From: []ledger.State{ledger.Held}, State: ledger.Scheduled, Note: map[string]string{"slot": slot}})
}
