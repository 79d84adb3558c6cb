// Package closeday reports the figures of a day.
package closeday

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle writes the report of the time at which it was due.
func Handle(ctx context.Context, a *app.App, at time.Time) error {
	return a.Report(ctx, "close-day", at, func(s ledger.Summary) app.Figures {
		figures := app.Counts(s.States)
		figures["captured"] = app.Fils(s.Sums[ledger.Capture])
		return figures
	})
}
