// Package post is POST /cancellations: a customer needs it no more.
package post

import (
	"context"
	"errors"
	"net/http"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/fn"
	"titrate/examples/collect/internal/ledger"
)

// Handle cancels a pickup that has not come to its end, and says what it is then.
func Handle(ctx context.Context, a *app.App, r fn.Request) (fn.Response, error) {
	var asked struct {
		Pickup string `json:"pickup"`
	}
	if err := r.Decode(&asked); err != nil || asked.Pickup == "" {
		return fn.Refuse(http.StatusBadRequest, "which? {\"pickup\": ID} is needed")
	}
	err := a.Step(ctx, ledger.Entry{Pickup: asked.Pickup, From: ledger.Open(), State: ledger.Cancelled, Note: map[string]string{"why": "the customer said so"}})
	if errors.Is(err, ledger.ErrUnknown) {
		return fn.Refuse(http.StatusNotFound, "there is no pickup "+asked.Pickup)
	}
	if err != nil {
		return fn.Response{}, err
	}
	p, err := a.Ledger.Pickup(ctx, asked.Pickup)
	if err != nil {
		return fn.Response{}, err
	}
	return fn.JSON(http.StatusOK, map[string]string{"id": p.ID, "state": string(p.State)})
}
