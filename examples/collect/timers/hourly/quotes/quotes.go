// Package quotes reports what was quoted.
package quotes

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle writes the report of the time at which it was due.
func Handle(ctx context.Context, a *app.App, at time.Time) error {
	return a.Report(ctx, "quotes", at, func(s ledger.Summary) app.Figures {
		return app.Figures{"quotes": app.Count(s.Kinds[ledger.Quote]), "sum": app.Fils(s.Sums[ledger.Quote])}
	})
}
