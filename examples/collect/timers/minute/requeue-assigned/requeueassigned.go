// Package requeueassigned sees to assigned pickups that wait for nobody.
package requeueassigned

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle puts them into their queue again.
func Handle(ctx context.Context, a *app.App, _ time.Time) error {
	return a.Requeue(ctx, ledger.Assigned)
}
