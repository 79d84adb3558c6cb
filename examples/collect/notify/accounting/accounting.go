// Package accounting tells the bookkeepers.
package accounting

import (
	"context"

	"titrate/examples/collect/internal/app"
)

// Handle books a payment.
func Handle(ctx context.Context, a *app.App, n app.News) error {
	return a.Tell(ctx, "accounting", n, string(n.Money)+" "+app.Count(n.Amount)+" fils for "+n.Pickup)
}
