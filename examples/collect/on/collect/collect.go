// Package collect notes how a driver fared.
package collect

import (
	"context"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle ends a pickup: it was collected, or in one of sixteen nobody was there.
func Handle(ctx context.Context, a *app.App, p ledger.Pickup) error {
	to, note := ledger.Collected, map[string]string{}
	if p.ID[len(p.ID)-1] == '0' {
		to, note["why"] = ledger.Failed, "nobody was there"
	}
	return a.Step(ctx, ledger.Entry{Pickup: p.ID, From: []ledger.State{ledger.Assigned}, State: to, Note: note})
}
