// Package requeuesettlements sees to pickups whose money nobody settles.
package requeuesettlements

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle puts them into the queue that their end asks for.
func Handle(ctx context.Context, a *app.App, _ time.Time) error {
	for _, end := range []ledger.State{ledger.Collected, ledger.Failed, ledger.Cancelled} {
		if err := a.Requeue(ctx, end); err != nil {
			return err
		}
	}
	return nil
}
