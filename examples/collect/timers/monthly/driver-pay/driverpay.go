// Package driverpay reports what the drivers are paid, at a dinar and a half a collection.
package driverpay

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle writes the report of the time at which it was due.
func Handle(ctx context.Context, a *app.App, at time.Time) error {
	return a.Report(ctx, "driver-pay", at, func(s ledger.Summary) app.Figures {
		return app.Figures{"all": app.Fils(1500 * int64(s.States[ledger.Collected]))}
	})
}
