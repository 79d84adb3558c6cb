// Package get is GET /quotes?pickup=: what a pickup costs.
package get

import (
	"context"
	"errors"
	"net/http"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/fn"
	"titrate/examples/collect/internal/ledger"
)

// Handle tells the price that was quoted, once there is one.
func Handle(ctx context.Context, a *app.App, r fn.Request) (fn.Response, error) {
	p, err := a.Ledger.Pickup(ctx, r.Query["pickup"])
	if errors.Is(err, ledger.ErrUnknown) || err == nil && p.Quoted == 0 {
		return fn.Refuse(http.StatusNotFound, "there is no quote yet")
	}
	if err != nil {
		return fn.Response{}, err
	}
	return fn.JSON(http.StatusOK, map[string]any{"pickup": p.ID, "fils": p.Quoted, "price": app.Fils(p.Quoted)})
}
