// Package pickup is GET /pickups/{id}: how far a pickup is.
package pickup

import (
	"context"
	"errors"
	"net/http"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/fn"
	"titrate/examples/collect/internal/ledger"
)

// Handle shows one pickup.
func Handle(ctx context.Context, a *app.App, r fn.Request) (fn.Response, error) {
	p, err := a.Ledger.Pickup(ctx, r.Params["id"])
	if errors.Is(err, ledger.ErrUnknown) {
		return fn.Refuse(http.StatusNotFound, "there is no pickup "+r.Params["id"])
	}
	if err != nil {
		return fn.Response{}, err
	}
	return fn.JSON(http.StatusOK, p)
}
