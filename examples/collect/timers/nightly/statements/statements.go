// Package statements reports what goes to the bank.
package statements

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle writes the report of the time at which it was due.
func Handle(ctx context.Context, a *app.App, at time.Time) error {
	return a.Report(ctx, "statements", at, func(s ledger.Summary) app.Figures {
		return app.Figures{"captured": app.Fils(s.Sums[ledger.Capture]), "refunded": app.Fils(s.Sums[ledger.Refund]), "lapsed": app.Fils(s.Sums[ledger.Lapse])}
	})
}
