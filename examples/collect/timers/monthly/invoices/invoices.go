// Package invoices reports what each facility is owed, at two dinars a delivery.
package invoices

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle writes the report of the time at which it was due.
func Handle(ctx context.Context, a *app.App, at time.Time) error {
	return a.Report(ctx, "invoices", at, func(s ledger.Summary) app.Figures {
		owed := app.Figures{}
		for name, n := range s.Sites {
			owed[name] = app.Fils(2000 * int64(n))
		}
		return owed
	})
}
