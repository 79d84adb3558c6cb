// Package assign gives a pickup its driver.
package assign

import (
	"context"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle gives a pickup to the driver of its area.
func Handle(ctx context.Context, a *app.App, p ledger.Pickup) error {
	driver := app.Pick(p.Note["area"], app.DriverNames())
	return a.Step(ctx, ledger.Entry{Pickup: p.ID, From: []ledger.State{ledger.Scheduled}, State: ledger.Assigned, Note: map[string]string{"driver": driver}})
}
