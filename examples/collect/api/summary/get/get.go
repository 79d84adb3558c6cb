// Package get is GET /summary: the service in figures.
package get

import (
	"context"
	"net/http"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/fn"
)

// Handle shows how many pickups are where.
func Handle(ctx context.Context, a *app.App, _ fn.Request) (fn.Response, error) {
	s, err := a.Ledger.Summary(ctx)
	if err != nil {
		return fn.Response{}, err
	}
	return fn.JSON(http.StatusOK, map[string]any{"edition": app.Edition, "pickups": s.Pickups, "states": s.States})
}
