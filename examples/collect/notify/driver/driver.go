// Package driver tells drivers of a pickup.
package driver

import (
	"context"

	"titrate/examples/collect/internal/app"
)

// Handle tells the driver.
func Handle(ctx context.Context, a *app.App, n app.News) error {
	return a.Tell(ctx, "driver", n, n.Who+" collects "+n.Pickup)
}
