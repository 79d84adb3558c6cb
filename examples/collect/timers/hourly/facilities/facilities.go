// Package facilities reports how many deliveries there were.
package facilities

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle writes the report of the time at which it was due.
func Handle(ctx context.Context, a *app.App, at time.Time) error {
	return a.Report(ctx, "facilities", at, func(s ledger.Summary) app.Figures {
		return app.Figures{"deliveries": app.Count(s.Kinds[ledger.Delivery])}
	})
}
