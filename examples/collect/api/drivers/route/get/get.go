// Package get is GET /drivers/route?driver=: where a driver goes next.
package get

import (
	"context"
	"net/http"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/fn"
	"titrate/examples/collect/internal/ledger"
)

// Handle lists what a driver has to collect, what waits longest first.
func Handle(ctx context.Context, a *app.App, r fn.Request) (fn.Response, error) {
	all, err := a.Ledger.Find(ctx, ledger.Query{State: ledger.Assigned, Limit: 200})
	if err != nil {
		return fn.Response{}, err
	}
	stops := []string{}
	for _, p := range all {
		if p.Note["driver"] == r.Query["driver"] {
			stops = append(stops, p.Note["slot"]+" "+p.Note["area"]+" "+p.ID)
		}
	}
	return fn.JSON(http.StatusOK, map[string]any{"stops": stops})
}
