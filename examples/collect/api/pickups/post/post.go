// Package post is POST /pickups: a customer asks for something bulky to be taken away.
package post

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/fn"
	"titrate/examples/collect/internal/ledger"
)

// order is what the customer says.
type order struct {
	Customer string `json:"customer"`
	Item     string `json:"item"`
	Area     string `json:"area"`
	Card     string `json:"card"`
}

// Handle accepts a pickup under the key of its request: the same request again is
// answered with the same pickup.
func Handle(ctx context.Context, a *app.App, r fn.Request) (fn.Response, error) {
	key := r.Header("Idempotency-Key")
	if key == "" || len(key) > 200 {
		return fn.Refuse(http.StatusBadRequest, "the header Idempotency-Key is needed, of 200 characters at most")
	}
	var o order
	if err := r.Decode(&o); err != nil {
		return fn.Refuse(http.StatusBadRequest, err.Error())
	}
	if o.Customer == "" || o.Card == "" || o.Area == "" || app.Price(o.Item) == 0 {
		return fn.Refuse(http.StatusUnprocessableEntity, "customer, area, card and an item of the list of prices are needed")
	}
	sum := sha256.Sum256([]byte(key))
	e := ledger.Entry{
		Request: "key:" + key, Kind: ledger.Step, Pickup: "p-" + hex.EncodeToString(sum[:8]), State: ledger.Accepted,
		Note: map[string]string{"customer": o.Customer, "item": o.Item, "area": o.Area, "card": o.Card},
	}
	answer, err := a.Ledger.Append(ctx, e)
	if errors.Is(err, ledger.ErrOther) {
		return fn.Refuse(http.StatusUnprocessableEntity, "another request has had this Idempotency-Key")
	}
	if err != nil {
		return fn.Response{}, err
	}
	if answer.Pickup.State == ledger.Accepted {
		if err := a.Forward(ctx, answer.Pickup); err != nil {
			return fn.Response{}, err
		}
	}
	body, err := json.Marshal(map[string]string{"id": answer.Pickup.ID, "state": string(answer.Pickup.State)})
	return fn.Response{Status: http.StatusAccepted, Headers: map[string]string{"content-type": "application/json"}, Body: string(body)}, err
}
