// Package get is GET /pickups?customer=: what a customer has asked for.
package get

import (
	"context"
	"net/http"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/fn"
	"titrate/examples/collect/internal/ledger"
)

// Handle lists the pickups of one customer.
func Handle(ctx context.Context, a *app.App, r fn.Request) (fn.Response, error) {
	customer := r.Query["customer"]
	if customer == "" {
		return fn.Refuse(http.StatusBadRequest, "whose? ?customer= is needed")
	}
	all, err := a.Ledger.Find(ctx, ledger.Query{Customer: customer, Limit: 50})
	if err != nil {
		return fn.Response{}, err
	}
	return fn.JSON(http.StatusOK, map[string]any{"pickups": all})
}
