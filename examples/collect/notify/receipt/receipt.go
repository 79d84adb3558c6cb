// Package receipt sends customers a receipt.
package receipt

import (
	"context"

	"titrate/examples/collect/internal/app"
)

// Handle sends the receipt of a payment.
func Handle(ctx context.Context, a *app.App, n app.News) error {
	return a.Tell(ctx, "receipt", n, app.Fils(n.Amount)+" "+string(n.Money))
}
