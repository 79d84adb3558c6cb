// Package tonnage reports what the facilities have taken, at forty kilograms an item.
package tonnage

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle writes the report of the time at which it was due.
func Handle(ctx context.Context, a *app.App, at time.Time) error {
	return a.Report(ctx, "tonnage", at, func(s ledger.Summary) app.Figures {
		return app.Figures{"kilograms": app.Count(40 * s.Kinds[ledger.Delivery])}
	})
}
