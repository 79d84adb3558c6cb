// Package get is GET /facilities: where things are brought.
package get

import (
	"context"
	"net/http"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/fn"
)

// Handle lists the facilities.
func Handle(_ context.Context, _ *app.App, _ fn.Request) (fn.Response, error) {
	return fn.JSON(http.StatusOK, map[string]any{"facilities": app.FacilityNames()})
}
