// Package cancellations reports how many pickups were cancelled.
package cancellations

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle writes the report of the time at which it was due.
func Handle(ctx context.Context, a *app.App, at time.Time) error {
	return a.Report(ctx, "cancellations", at, func(s ledger.Summary) app.Figures {
		return app.Figures{"cancelled": app.Count(s.States[ledger.Cancelled])}
	})
}
