// Package forecast reports how many pickups to expect: as many as there were.
package forecast

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle writes the report of the time at which it was due.
func Handle(ctx context.Context, a *app.App, at time.Time) error {
	return a.Report(ctx, "forecast", at, func(s ledger.Summary) app.Figures {
		return app.Figures{"expected": app.Count(s.Pickups)}
	})
}
