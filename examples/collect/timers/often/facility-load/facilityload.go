// Package facilityload reports how much has come to each facility.
package facilityload

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle writes the report of the time at which it was due.
func Handle(ctx context.Context, a *app.App, at time.Time) error {
	return a.Report(ctx, "facility-load", at, func(s ledger.Summary) app.Figures {
		return app.Counts(s.Sites)
	})
}
