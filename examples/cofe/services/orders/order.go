package orders

import (
	"encoding/json"

	"titrate/examples/cofe/internal/money"
)

// State says how far an order is.
type State string

// The states of an order: one of the last two is its end.
const (
	Accepted  State = "accepted"
	Confirmed State = "confirmed"
	Rejected  State = "rejected"
)

// Over reports whether s is an end.
func (s State) Over() bool { return s == Confirmed || s == Rejected }

// Order is what was bought and how it is paid: Credits, Gift and Card are parts
// of Total in minor units.
type Order struct {
	ID        string         `json:"id"`
	Key       string         `json:"key"` // Idempotency-Key it was accepted under
	Customer  string         `json:"customer"`
	Currency  money.Currency `json:"currency"`
	Total     int64          `json:"total"`
	Credits   int64          `json:"credits"`
	Gift      int64          `json:"gift"`
	GiftCode  string         `json:"gift_code,omitempty"`
	Card      int64          `json:"card"`
	CardToken string         `json:"-"`
	Lines     []Line         `json:"lines"`
	State     State          `json:"state"`
	Reason    string         `json:"reason,omitempty"` // why it was rejected
	At        int64          `json:"at"`
}

// Line is a quantity of a product at a price a unit.
type Line struct {
	Product  string `json:"product"`
	Name     string `json:"name"`
	Quantity int    `json:"quantity"`
	Unit     int64  `json:"unit"` // minor units
}

// Request is what POST /orders takes.
type Request struct {
	Customer  string         `json:"customer"`
	Currency  money.Currency `json:"currency"`
	Lines     []Line         `json:"lines"`
	Credits   int64          `json:"credits"`              // part to pay with the customer's credits
	GiftCode  string         `json:"gift_code,omitempty"`  // gift card, with
	Gift      int64          `json:"gift,omitempty"`       // the part to pay with it
	CardToken string         `json:"card_token,omitempty"` // pays the rest
}

// order returns the order of a request, or a sentence that says what is wrong.
func (r Request) order() (Order, string) {
	o := Order{
		Customer: r.Customer, Currency: r.Currency, Credits: r.Credits, Gift: r.Gift,
		GiftCode: r.GiftCode, CardToken: r.CardToken, Lines: r.Lines, State: Accepted,
	}
	if _, ok := r.Currency.Exponent(); !ok || r.Currency == money.Points {
		return o, "the currency is not one that is sold in"
	}
	if r.Customer == "" || len(r.Lines) == 0 || len(r.Lines) > 100 {
		return o, "an order needs a customer and 1 to 100 lines"
	}
	for _, l := range r.Lines {
		if l.Product == "" || l.Quantity < 1 || l.Quantity > 1000 || l.Unit < 1 {
			return o, "a line needs a product, a quantity of 1 to 1000 and a price"
		}
		part, err := money.Times(l.Unit, l.Quantity)
		if err == nil {
			o.Total, err = money.Add(o.Total, part)
		}
		if err != nil {
			return o, "the total is too large"
		}
	}
	o.Card = o.Total - r.Credits - r.Gift
	switch {
	case r.Credits < 0 || r.Gift < 0 || r.Credits > o.Total || r.Gift > o.Total || o.Card < 0:
		return o, "credits and gift card may not pay more than the total"
	case (r.Gift > 0) != (r.GiftCode != ""):
		return o, "a gift card needs its code and its part"
	case o.Card > 0 && r.CardToken == "":
		return o, "the rest needs a card"
	}
	return o, ""
}

// selectOrder reads what scanOrder takes.
const selectOrder = `SELECT id, key, customer, currency, total, credits, gift, gift_code, card, card_token, lines, state, reason, at FROM orders`

func scanOrder(scan func(...any) error) (Order, error) {
	var o Order
	var lines string
	err := scan(&o.ID, &o.Key, &o.Customer, &o.Currency, &o.Total, &o.Credits, &o.Gift, &o.GiftCode, &o.Card, &o.CardToken,
		&lines, &o.State, &o.Reason, &o.At)
	if err != nil {
		return o, err
	}
	return o, json.Unmarshal([]byte(lines), &o.Lines)
}
