// Package get is GET /slots: when somebody can come.
package get

import (
	"context"
	"net/http"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/fn"
)

// Handle lists the times of a day.
func Handle(_ context.Context, _ *app.App, _ fn.Request) (fn.Response, error) {
	return fn.JSON(http.StatusOK, map[string]any{"slots": app.Slots()})
}
