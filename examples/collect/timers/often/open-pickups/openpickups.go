// Package openpickups reports how many pickups are where.
package openpickups

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle writes the report of the time at which it was due.
func Handle(ctx context.Context, a *app.App, at time.Time) error {
	return a.Report(ctx, "open-pickups", at, func(s ledger.Summary) app.Figures {
		return app.Counts(s.States)
	})
}
