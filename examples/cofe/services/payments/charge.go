package payments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/httpx"
	"titrate/examples/cofe/internal/idem"
	"titrate/examples/cofe/internal/ledger"
	"titrate/examples/cofe/internal/outbox"
	"titrate/examples/cofe/internal/participant"
	"titrate/examples/cofe/internal/psp"
)

// charge takes an order's payment: written down as pending, then asked of the
// provider outside of any transaction, then booked. A crash in between leaves a
// pending charge that the same request finds again.
func (p payments) charge(w http.ResponseWriter, r *http.Request) {
	ask, key, hash, ok := idem.Read[participant.Ask](w, r)
	if !ok {
		return
	}
	ctx := r.Context()
	if sentence := ask.Valid(); sentence != "" {
		httpx.Error(w, http.StatusBadRequest, sentence)
		return
	}
	e := participant.Effect{Order: ask.Order, Account: ledger.Account(ask.Account), Amount: ask.Amount}
	err := p.DB.Write(ctx, func(tx db.Tx) error {
		_, err := participant.Open(ctx, tx, e)
		return err
	})
	if err == nil {
		err = p.ask(ctx, e, ask.Account)
	}
	if errors.Is(err, psp.ErrBusy) {
		httpx.Error(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answered := err
	reply, replayed, err := idem.Do(ctx, p.DB, key, hash, func(tx db.Tx) (idem.Reply, error) { return p.book(ctx, tx, e, answered) })
	idem.Write(w, r, p.Log, reply, replayed, err)
}

// asks is how often the provider is asked before it counts as down.
const asks = 3

// ask has the provider charge the card. One that is busy for a moment is no failure
// of ours, and is asked again: a reference is charged once however often it is.
func (p payments) ask(ctx context.Context, e participant.Effect, token string) error {
	for n := 1; ; n++ {
		err := p.provider.Charge(ctx, e.Order, token, e.Amount)
		if !errors.Is(err, psp.ErrBusy) || n == asks {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(n) * 10 * time.Millisecond):
		}
	}
}

// book writes down what the provider answered.
func (p payments) book(ctx context.Context, tx db.Tx, e participant.Effect, answered error) (idem.Reply, error) {
	var declined *psp.DeclinedError
	switch {
	case errors.As(answered, &declined):
		if _, err := participant.Move(ctx, tx, e.Order, participant.Pending, participant.Undone, nil); err != nil {
			return idem.Reply{}, err
		}
		return reply(http.StatusPaymentRequired, map[string]string{"error": declined.Error()})
	case answered != nil:
		return idem.Reply{}, participant.Refused(answered)
	}
	// Open says again what is so: an undoing may have come while the provider
	// was asked. It has voided the charge there as well.
	state, err := participant.Open(ctx, tx, e)
	if err != nil {
		return idem.Reply{}, participant.Refused(err)
	}
	if state == participant.Pending {
		moved, err := participant.Move(ctx, tx, e.Order, participant.Pending, participant.Done,
			ledger.Move(ledger.House("provider"), ledger.House("sales"), e.Amount))
		if err != nil {
			return idem.Reply{}, err
		}
		if !moved {
			return idem.Reply{}, participant.Refused(participant.ErrUndone)
		}
		if err := outbox.Append(ctx, tx, "payment.captured", e.Order, e.Amount); err != nil {
			return idem.Reply{}, err
		}
	}
	e.State = participant.Done
	return reply(http.StatusCreated, e)
}

// undo gives the money back, and refuses a charge that comes after it.
func (p payments) undo(w http.ResponseWriter, r *http.Request) {
	_, key, hash, ok := idem.Read[struct{}](w, r)
	if !ok {
		return
	}
	ctx, order := r.Context(), r.PathValue("order")
	// The provider first: once it has refunded, no charge can come through.
	if err := p.provider.Refund(ctx, order); err != nil {
		httpx.Fail(w, r, p.Log, err)
		return
	}
	answer, replayed, err := idem.Do(ctx, p.DB, key, hash, func(tx db.Tx) (idem.Reply, error) {
		booked := false
		err := participant.Undo(ctx, tx, order, func(e participant.Effect) []ledger.Entry {
			booked = true
			return ledger.Move(ledger.House("sales"), ledger.House("provider"), e.Amount)
		})
		if err != nil {
			return idem.Reply{}, participant.Refused(err)
		}
		if booked {
			if err := outbox.Append(ctx, tx, "payment.refunded", order, struct{}{}); err != nil {
				return idem.Reply{}, err
			}
		}
		return reply(http.StatusOK, map[string]string{"order": order, "state": string(participant.Undone)})
	})
	idem.Write(w, r, p.Log, answer, replayed, err)
}

func reply(status int, v any) (idem.Reply, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return idem.Reply{}, fmt.Errorf("write the answer: %w", err)
	}
	return idem.Reply{Status: status, Body: body}, nil
}

func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	body, err := httpx.Body(w, r)
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		httpx.Error(w, http.StatusBadRequest, "the body is not the JSON this request takes")
	}
	return err == nil
}
