// Package expirequoted cancels pickups that were quoted half an hour ago, and not paid.
package expirequoted

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle cancels them.
func Handle(ctx context.Context, a *app.App, _ time.Time) error {
	return a.Expire(ctx, ledger.Quoted, 30*time.Minute)
}
