// Package staleslots reports how many pickups have a slot and no driver.
package staleslots

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle writes the report of the time at which it was due.
func Handle(ctx context.Context, a *app.App, at time.Time) error {
	return a.Report(ctx, "stale-slots", at, func(s ledger.Summary) app.Figures {
		return app.Figures{"without driver": app.Count(s.States[ledger.Scheduled])}
	})
}
