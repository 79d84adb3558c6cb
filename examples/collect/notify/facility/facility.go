// Package facility tells facilities what comes.
package facility

import (
	"context"

	"titrate/examples/collect/internal/app"
)

// Handle tells the facility.
func Handle(ctx context.Context, a *app.App, n app.News) error {
	return a.Tell(ctx, "facility", n, n.Pickup+" comes to "+n.Who)
}
