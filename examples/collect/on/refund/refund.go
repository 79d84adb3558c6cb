// Package refund gives back what was held.
package refund

import (
	"context"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle settles a pickup that was not collected: what was held is refunded, and a quote
// that nobody paid lapses.
func Handle(ctx context.Context, a *app.App, p ledger.Pickup) error {
	switch {
	case !p.State.Over() || p.State == ledger.Collected:
		return nil
	case p.Held:
		return a.Settle(ctx, p, ledger.Refund)
	}
	return a.Settle(ctx, p, ledger.Lapse)
}
