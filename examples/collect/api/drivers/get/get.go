// Package get is GET /drivers: who has how much to do.
package get

import (
	"context"
	"net/http"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/fn"
)

// Handle lists the drivers with their open pickups.
func Handle(ctx context.Context, a *app.App, _ fn.Request) (fn.Response, error) {
	s, err := a.Ledger.Summary(ctx)
	if err != nil {
		return fn.Response{}, err
	}
	return fn.JSON(http.StatusOK, map[string]any{"drivers": app.DriverNames(), "open": s.Drivers})
}
