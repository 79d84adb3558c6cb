package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/httpx"
	"titrate/examples/cofe/internal/idem"
	"titrate/examples/cofe/internal/money"
)

// payment is how a visitor wants to pay: credits first, then the gift card, then
// the card.
type payment struct {
	Key      string `json:"-"` // Idempotency-Key
	Credits  bool   `json:"credits"`
	GiftCard string `json:"gift_card"`
	Card     string `json:"card"` // number; exchanged for a token, never stored
}

// orderRequest is what the orders service takes.
type orderRequest struct {
	Customer  string         `json:"customer"`
	Currency  money.Currency `json:"currency"`
	Lines     []Line         `json:"lines"`
	Credits   int64          `json:"credits"`
	GiftCode  string         `json:"gift_code,omitempty"`
	Gift      int64          `json:"gift,omitempty"`
	CardToken string         `json:"card_token,omitempty"`
}

// order is what it answers.
type order struct {
	ID       string         `json:"id"`
	Customer string         `json:"customer"`
	Currency money.Currency `json:"currency"`
	Total    int64          `json:"total"`
	Credits  int64          `json:"credits"`
	Gift     int64          `json:"gift"`
	Card     int64          `json:"card"`
	Lines    []Line         `json:"lines"`
	State    string         `json:"state"`
	Reason   string         `json:"reason,omitempty"`
}

// checkout answers POST /checkout: 201 confirmed, 202 accepted but not over yet,
// 402 rejected.
func (s *store) checkout(w http.ResponseWriter, r *http.Request) error {
	v := s.visitor(w, r)
	pay, ok := readPayment(w, r)
	if !ok {
		return nil
	}
	o, err := s.place(r.Context(), v, pay)
	if status, ok := httpx.Refused(err); ok {
		httpx.Error(w, status.Status, status.Sentence)
		return nil
	}
	switch {
	case errors.Is(err, idem.ErrReused):
		httpx.Error(w, http.StatusUnprocessableEntity, err.Error())
		return nil
	case err != nil:
		return err
	case isForm(r):
		http.Redirect(w, r, "/order/"+o.ID, http.StatusSeeOther)
		return nil
	}
	status := http.StatusAccepted
	switch o.State {
	case "confirmed":
		status = http.StatusCreated
	case "rejected":
		status = http.StatusPaymentRequired
	}
	httpx.JSON(w, status, o)
	return nil
}

func readPayment(w http.ResponseWriter, r *http.Request) (payment, bool) {
	var p payment
	if isForm(r) {
		p = payment{Key: r.PostFormValue("key"), Credits: r.PostFormValue("credits") != "", GiftCard: r.PostFormValue("gift_card"), Card: r.PostFormValue("card")}
	} else {
		if !readJSON(w, r, &p) {
			return p, false
		}
		p.Key = r.Header.Get(httpx.IdempotencyKey)
	}
	p.Card = strings.ReplaceAll(p.Card, " ", "")
	p.GiftCard = strings.TrimSpace(p.GiftCard)
	if p.Key == "" || len(p.Key) > 64 {
		httpx.Error(w, http.StatusBadRequest, "a checkout needs an Idempotency-Key of at most 64 characters")
		return p, false
	}
	return p, true
}

// place orders what is in the cart, once for a key. What is ordered is written
// down before the orders service is asked: asking again, by whatever process,
// sends the same words.
func (s *store) place(ctx context.Context, v visitor, pay payment) (order, error) {
	// Without the card's number: a hash of it could be guessed back.
	hash := idem.Hash("checkout", v.customer+" "+v.cart, []byte(pay.GiftCard+" "+pay.Card[max(0, len(pay.Card)-4):]))
	request, id, err := s.checkoutOf(ctx, s.DB.Read(), pay.Key, hash)
	if errors.Is(err, sql.ErrNoRows) {
		request, err = s.writeDown(ctx, v, pay, hash)
	}
	if err != nil {
		return order{}, err
	}
	if id == "" {
		var accepted struct{ ID string }
		if err := s.Client.Do(ctx, httpx.Call{Method: http.MethodPost, URL: s.orders + "/orders", Key: pay.Key, Send: request, Into: &accepted}); err != nil {
			return order{}, err
		}
		id = accepted.ID
		if err := s.accepted(ctx, v.cart, pay.Key, id); err != nil {
			return order{}, err
		}
	}
	o, err := s.orderOf(ctx, id, "800ms")
	if err != nil {
		// It is accepted and will come to its end, whoever can tell now.
		s.Log.LogAttrs(ctx, slog.LevelWarn, "order's end is not known yet", slog.String("request_id", httpx.ID(ctx)), slog.String("order", id), slog.String("error", err.Error()))
		return order{ID: id, State: "accepted"}, nil
	}
	return o, nil
}

func (s *store) checkoutOf(ctx context.Context, q db.Querier, key, hash string) (request json.RawMessage, id string, err error) {
	var theirs, text string
	err = q.QueryRowContext(ctx, `SELECT request_hash, request, order_id FROM checkouts WHERE key = $1`, key).Scan(&theirs, &text, &id)
	if err == nil && theirs != hash {
		err = idem.ErrReused
	}
	return json.RawMessage(text), id, err
}

// writeDown turns the cart and the payment into the order's request, and keeps it.
func (s *store) writeDown(ctx context.Context, v visitor, pay payment, hash string) (json.RawMessage, error) {
	cart, err := loadCart(ctx, s.DB.Read(), v.cart)
	if err != nil {
		return nil, err
	}
	shelf, err := s.products(ctx, v.currency)
	if err != nil {
		return nil, err
	}
	lines, total, err := cart.lines(shelf)
	if err != nil {
		return nil, err
	}
	if len(lines) == 0 {
		// Emptied by this very checkout, which was sent twice?
		if request, _, err := s.checkoutOf(ctx, s.DB.Read(), pay.Key, hash); !errors.Is(err, sql.ErrNoRows) {
			return request, err
		}
		return nil, &httpx.StatusError{Status: http.StatusConflict, Sentence: "the cart is empty"}
	}
	in := orderRequest{Customer: v.customer, Currency: v.currency, Lines: lines}
	if err := s.split(ctx, &in, total, pay); err != nil {
		return nil, err
	}
	text, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	var request json.RawMessage
	err = s.DB.Write(ctx, func(tx db.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO checkouts (key, request_hash, cart, request, order_id, at) VALUES ($1, $2, $3, $4, '', $5)
			ON CONFLICT (key) DO NOTHING`, pay.Key, hash, v.cart, string(text), db.Now()); err != nil {
			return err
		}
		// Of two at the same time the first one's words count for both.
		request, _, err = s.checkoutOf(ctx, tx, pay.Key, hash)
		return err
	})
	return request, err
}

// split says which part of the total each means of payment has.
func (s *store) split(ctx context.Context, in *orderRequest, total money.Amount, pay payment) error {
	left := total.Minor
	if pay.Credits {
		has, err := s.balance(ctx, s.credits+"/credits/"+in.Customer, total.Currency)
		if err != nil {
			return err
		}
		in.Credits = min(left, has)
		left -= in.Credits
	}
	if pay.GiftCard != "" && left > 0 {
		has, err := s.balance(ctx, s.giftcards+"/giftcards/"+pay.GiftCard, total.Currency)
		if err != nil {
			return err
		}
		if in.Gift = min(left, has); in.Gift > 0 {
			in.GiftCode = pay.GiftCard
			left -= in.Gift
		}
	}
	if left == 0 {
		return nil
	}
	if pay.Card == "" {
		return &httpx.StatusError{Status: http.StatusPaymentRequired, Sentence: "a card is needed for " + money.Amount{Minor: left, Currency: total.Currency}.String()}
	}
	var card struct{ Token string }
	err := s.Client.Do(ctx, httpx.Call{
		Method: http.MethodPost, URL: s.payments + "/payments/cards", Key: pay.Key + ":card",
		Send: map[string]string{"number": pay.Card}, Into: &card,
	})
	in.CardToken = card.Token
	return err
}

// balance asks what an account has in a currency.
func (s *store) balance(ctx context.Context, url string, c money.Currency) (int64, error) {
	var has struct{ Balances []money.Amount }
	if err := s.Client.Do(ctx, httpx.Call{Method: http.MethodGet, URL: url, Into: &has}); err != nil {
		return 0, err
	}
	for _, b := range has.Balances {
		if b.Currency == c {
			return b.Minor, nil
		}
	}
	return 0, nil
}

// accepted notes the order and empties the cart.
func (s *store) accepted(ctx context.Context, cart, key, id string) error {
	return s.DB.Write(ctx, func(tx db.Tx) error {
		done, err := tx.ExecContext(ctx, `UPDATE checkouts SET order_id = $2 WHERE key = $1 AND order_id = ''`, key, id)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err // noted before: the cart may hold new things by now
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM carts WHERE id = $1`, cart)
		return err
	})
}

// orderOf asks how an order is, and waits that long for its end.
func (s *store) orderOf(ctx context.Context, id, wait string) (order, error) {
	var o order
	err := s.Client.Do(ctx, httpx.Call{Method: http.MethodGet, URL: s.orders + "/orders/" + id + "?wait=" + cmp.Or(wait, "0s"), Into: &o})
	return o, err
}
