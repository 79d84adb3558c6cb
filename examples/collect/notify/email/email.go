// Package email writes to customers.
package email

import (
	"context"

	"titrate/examples/collect/internal/app"
)

// Handle tells the customer how the pickup ended.
func Handle(ctx context.Context, a *app.App, n app.News) error {
	return a.Tell(ctx, "email", n, "your pickup "+n.Pickup+" is "+string(n.State))
}
