// Package expireaccepted cancels pickups that were asked for an hour ago, and without a price still.
package expireaccepted

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle cancels them.
func Handle(ctx context.Context, a *app.App, _ time.Time) error {
	return a.Expire(ctx, ledger.Accepted, time.Hour)
}
