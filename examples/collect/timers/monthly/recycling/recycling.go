// Package recycling reports how much of what was collected came to a facility.
package recycling

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle writes the report of the time at which it was due.
func Handle(ctx context.Context, a *app.App, at time.Time) error {
	return a.Report(ctx, "recycling", at, func(s ledger.Summary) app.Figures {
		return app.Figures{"collected": app.Count(s.States[ledger.Collected]), "delivered": app.Count(s.Kinds[ledger.Delivery])}
	})
}
