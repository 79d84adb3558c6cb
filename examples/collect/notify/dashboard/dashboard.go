// Package dashboard shows the office what happens.
package dashboard

import (
	"context"

	"titrate/examples/collect/internal/app"
)

// Handle puts the pickup on the board.
func Handle(ctx context.Context, a *app.App, n app.News) error {
	return a.Tell(ctx, "dashboard", n, string(n.State)+" "+n.Pickup)
}
