// Package sms sends customers a short message.
package sms

import (
	"context"

	"titrate/examples/collect/internal/app"
)

// Handle tells the customer in few words.
func Handle(ctx context.Context, a *app.App, n app.News) error {
	return a.Tell(ctx, "sms", n, n.Pickup+": "+string(n.State))
}
