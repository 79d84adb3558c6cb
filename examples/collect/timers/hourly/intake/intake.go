// Package intake reports what customers have asked for.
package intake

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle writes the report of the time at which it was due.
func Handle(ctx context.Context, a *app.App, at time.Time) error {
	return a.Report(ctx, "intake", at, func(s ledger.Summary) app.Figures {
		return app.Figures{"pickups": app.Count(s.Pickups), "accepted": app.Count(s.States[ledger.Accepted])}
	})
}
