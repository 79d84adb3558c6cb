// Package scheduling reports how many pickups wait for their day.
package scheduling

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle writes the report of the time at which it was due.
func Handle(ctx context.Context, a *app.App, at time.Time) error {
	return a.Report(ctx, "scheduling", at, func(s ledger.Summary) app.Figures {
		return app.Figures{"scheduled": app.Count(s.States[ledger.Scheduled])}
	})
}
