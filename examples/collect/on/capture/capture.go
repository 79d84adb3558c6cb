// Package capture takes the money that was held.
package capture

import (
	"context"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle captures what a collected pickup costs.
func Handle(ctx context.Context, a *app.App, p ledger.Pickup) error {
	if p.State != ledger.Collected {
		return nil
	}
	return a.Settle(ctx, p, ledger.Capture)
}
