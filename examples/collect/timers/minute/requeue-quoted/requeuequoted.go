// Package requeuequoted sees to quoted pickups that wait for nobody.
package requeuequoted

import (
	"context"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle puts them into their queue again.
func Handle(ctx context.Context, a *app.App, _ time.Time) error {
	return a.Requeue(ctx, ledger.Quoted)
}
