// Package closemonth reports the figures of a month.
package closemonth

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle writes the report of the time at which it was due.
func Handle(ctx context.Context, a *app.App, at time.Time) error {
	return a.Report(ctx, "close-month", at, func(s ledger.Summary) app.Figures {
		return app.Figures{"pickups": app.Count(s.Pickups), "captured": app.Fils(s.Sums[ledger.Capture])}
	})
}
