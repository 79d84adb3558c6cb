// Package get is GET /facilities/inventory: what has come to each.
package get

import (
	"context"
	"net/http"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/fn"
)

// Handle counts the deliveries.
func Handle(ctx context.Context, a *app.App, _ fn.Request) (fn.Response, error) {
	s, err := a.Ledger.Summary(ctx)
	if err != nil {
		return fn.Response{}, err
	}
	return fn.JSON(http.StatusOK, map[string]any{"deliveries": s.Sites})
}
