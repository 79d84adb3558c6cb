package orders

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/httpx"
	"titrate/examples/cofe/internal/idem"
)

// accept takes an order: from here on it will come to one end, whatever dies.
// The answer is the acceptance, always the same for one key; how it ended is
// asked with GET /orders/{id}.
func (o orders) accept(w http.ResponseWriter, r *http.Request) {
	in, key, hash, ok := idem.Read[Request](w, r)
	if !ok {
		return
	}
	ctx := r.Context()
	order, sentence := in.order()
	if sentence != "" {
		httpx.Error(w, http.StatusBadRequest, sentence)
		return
	}
	order.ID, order.Key, order.At = "o-"+httpx.NewID(), key, db.Now()
	reply, replayed, err := idem.Do(ctx, o.DB, key, hash, func(tx db.Tx) (idem.Reply, error) {
		if err := o.insert(ctx, tx, order); err != nil {
			return idem.Reply{}, err
		}
		body, err := json.Marshal(map[string]any{"id": order.ID, "total": order.Total, "currency": order.Currency, "state": Accepted})
		return idem.Reply{Status: http.StatusAccepted, Body: body}, err
	})
	if err == nil && !replayed {
		o.saga.Start(ctx, order)
	}
	idem.Write(w, r, o.Log, reply, replayed, err)
}

// insert stores an order with its saga, which this process holds unless it is
// about to end.
func (o orders) insert(ctx context.Context, tx db.Tx, order Order) error {
	lines, err := json.Marshal(order.Lines)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO orders (id, key, customer, currency, total, credits, gift, gift_code, card, card_token, lines, state, reason, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, '', $13)`,
		order.ID, order.Key, order.Customer, order.Currency, order.Total, order.Credits, order.Gift, order.GiftCode,
		order.Card, order.CardToken, string(lines), order.State, order.At); err != nil {
		return fmt.Errorf("store the order: %w", err)
	}
	until := order.At + lease.Milliseconds()
	if o.saga.ending() {
		until = 0 // whoever looks next goes on with it
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO sagas (order_id, direction, step, reason, owner, until, tries, next_at, at, request_id)
		VALUES ($1, $2, 0, '', $3, $4, 0, $5, $5, $6)`,
		order.ID, forward, o.saga.holder(order.ID), until, order.At, httpx.ID(ctx)); err != nil {
		return fmt.Errorf("store the saga: %w", err)
	}
	return nil
}

// longestWait bounds ?wait=.
const longestWait = 2 * time.Second

// show answers with an order; with ?wait= it waits that long for its end.
func (o orders) show(w http.ResponseWriter, r *http.Request) error {
	wait, _ := time.ParseDuration(r.URL.Query().Get("wait")) // none, or not a duration: no wait
	over := time.After(min(wait, longestWait))
	for {
		// The other version's processes see orders through too, so the end of
		// one of ours is only a hint to look at once.
		news := o.saga.news()
		order, err := scanOrder(o.DB.Read().QueryRowContext(r.Context(), selectOrder+` WHERE id = $1`, r.PathValue("id")).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			httpx.Error(w, http.StatusNotFound, "no such order")
			return nil
		}
		if err != nil {
			return err
		}
		last := order.State.Over() || wait <= 0
		if !last {
			select {
			case <-news:
				continue
			case <-time.After(100 * time.Millisecond):
				continue
			case <-over:
			case <-r.Context().Done():
			}
		}
		httpx.JSON(w, http.StatusOK, order)
		return nil
	}
}
