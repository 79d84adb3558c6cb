// Package auditstates reports how many pickups came to which end.
package auditstates

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle writes the report of the time at which it was due.
func Handle(ctx context.Context, a *app.App, at time.Time) error {
	return a.Report(ctx, "audit-states", at, func(s ledger.Summary) app.Figures {
		return app.Figures{
			"collected": app.Count(s.States[ledger.Collected]), "failed": app.Count(s.States[ledger.Failed]), "cancelled": app.Count(s.States[ledger.Cancelled]),
		}
	})
}
