// Package get is GET /prices: what is taken, and for how much.
package get

import (
	"context"
	"net/http"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/fn"
)

// Handle lists the prices.
func Handle(_ context.Context, _ *app.App, _ fn.Request) (fn.Response, error) {
	prices := map[string]string{}
	for _, item := range app.Items() {
		prices[item] = app.Fils(app.Price(item))
	}
	return fn.JSON(http.StatusOK, prices)
}
