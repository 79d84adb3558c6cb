package orders

import (
	"titrate/examples/cofe/internal/money"
	"titrate/examples/cofe/internal/participant"
	"titrate/examples/cofe/internal/service"
)

// step is one part of an order, done by another service. Its undoing is the
// same address with /{order}/undo.
type step struct {
	name    string
	service string
	path    string
	applies func(Order) bool
	asks    func(Order) (account string, minor int64)
}

// steps returns the parts in their order; they are undone in reverse.
func steps() []step {
	return []step{
		{
			name: "hold credits", service: "credits", path: "/credits/holds",
			applies: func(o Order) bool { return o.Credits > 0 },
			asks:    func(o Order) (string, int64) { return o.Customer, o.Credits },
		},
		{
			name: "redeem gift card", service: "giftcards", path: "/giftcards/redemptions",
			applies: func(o Order) bool { return o.Gift > 0 },
			asks:    func(o Order) (string, int64) { return o.GiftCode, o.Gift },
		},
		{
			name: "capture payment", service: "payments", path: "/payments/charges",
			applies: func(o Order) bool { return o.Card > 0 },
			asks:    func(o Order) (string, int64) { return o.CardToken, o.Card },
		},
		{
			name: "earn points", service: "rewards", path: "/rewards/points",
			applies: func(Order) bool { return true },
			asks:    func(o Order) (string, int64) { return o.Customer, o.Total },
		},
	}
}

func (s step) ask(o Order) participant.Ask {
	account, minor := s.asks(o)
	return participant.Ask{Order: o.ID, Account: account, Amount: money.Amount{Minor: minor, Currency: o.Currency}}
}

// addresses returns where each step's service is.
func addresses(c service.Config) (map[string]string, error) {
	urls := map[string]string{}
	for _, s := range steps() {
		url, err := c.URL(s.service)
		if err != nil {
			return nil, err
		}
		urls[s.service] = url
	}
	return urls, nil
}
