// Package get is GET /reports/latest?name=: the newest of a report.
package get

import (
	"context"
	"net/http"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/fn"
)

// Handle shows the newest report of a name.
func Handle(ctx context.Context, a *app.App, r fn.Request) (fn.Response, error) {
	s, err := a.Ledger.Summary(ctx)
	if err != nil {
		return fn.Response{}, err
	}
	note, ok := s.Latest[r.Query["name"]]
	if !ok {
		return fn.Refuse(http.StatusNotFound, "there is no report of that name yet")
	}
	return fn.JSON(http.StatusOK, note)
}
