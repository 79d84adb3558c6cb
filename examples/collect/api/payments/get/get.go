// Package get is GET /payments: the money in sums.
package get

import (
	"context"
	"net/http"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/fn"
)

// Handle adds up what was quoted, captured, refunded, and what lapsed.
func Handle(ctx context.Context, a *app.App, _ fn.Request) (fn.Response, error) {
	s, err := a.Ledger.Summary(ctx)
	if err != nil {
		return fn.Response{}, err
	}
	return fn.JSON(http.StatusOK, s.Sums)
}
