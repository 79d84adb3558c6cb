// Package planroutes plans the drivers' next day.
package planroutes

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle counts the stops of each driver.
func Handle(ctx context.Context, a *app.App, at time.Time) error {
	stops := map[string]int{}
	waiting, err := a.Ledger.Find(ctx, ledger.Query{State: ledger.Assigned, Limit: 1000})
	if err != nil {
		return err
	}
	for _, p := range waiting {
		stops[p.Note["driver"]]++
	}
	return a.Report(ctx, "plan-routes", at, func(ledger.Summary) app.Figures { return app.Counts(stops) })
}
