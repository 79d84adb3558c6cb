// Package repeatedrequests reports how many requests came more than once.
package repeatedrequests

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle writes the report of the time at which it was due.
func Handle(ctx context.Context, a *app.App, at time.Time) error {
	return a.Report(ctx, "repeated-requests", at, func(s ledger.Summary) app.Figures {
		return app.Figures{"requests": app.Count(s.Entries), "repeated": app.Count(s.Repeated)}
	})
}
