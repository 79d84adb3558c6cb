package participant

import (
	"context"
	"net/http"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/httpx"
	"titrate/examples/cofe/internal/idem"
	"titrate/examples/cofe/internal/ledger"
	"titrate/examples/cofe/internal/money"
	"titrate/examples/cofe/internal/service"
)

// Ask is what an order asks of a participant: an amount of an account, which is
// a customer, a gift card's code or a card's token.
type Ask struct {
	Order   string       `json:"order"`
	Account string       `json:"account"`
	Amount  money.Amount `json:"amount"`
}

// Valid reports what is wrong with the request, empty when nothing is.
func (a Ask) Valid() string {
	_, known := a.Amount.Currency.Exponent()
	switch {
	case a.Order == "" || len(a.Order) > 64 || a.Account == "" || len(a.Account) > 64:
		return "order and account are needed"
	case !known || a.Amount.Currency == money.Points:
		return "the currency is not one that is sold in"
	case a.Amount.Minor <= 0:
		return "the amount must be positive"
	}
	return ""
}

// Step is a participant whose effect is in its own ledger only.
type Step struct {
	Path string // "/credits/holds"
	// Effect says what an order's request does, and with which entries.
	Effect func(Ask) (Effect, []ledger.Entry)
	// Reverse returns the entries that take an effect back.
	Reverse func(Effect) []ledger.Entry
	// After runs in the transaction of a new effect; nil: nothing to add.
	After func(ctx context.Context, tx db.Tx, e Effect) error
}

// Register adds POST Path (have the effect) and POST Path/{order}/undo to a
// service, and its audit. Both need an Idempotency-Key.
func Register(s *service.Service, step Step) {
	s.Mux.HandleFunc("POST "+step.Path, idem.Handle(s.DB, s.Log, func(ctx context.Context, tx db.Tx, _ *http.Request, ask Ask) (int, any, error) {
		if sentence := ask.Valid(); sentence != "" {
			return 0, nil, idem.Refuse(http.StatusBadRequest, sentence)
		}
		effect, entries := step.Effect(ask)
		if err := Do(ctx, tx, effect, entries); err != nil {
			return 0, nil, Refused(err)
		}
		if step.After != nil {
			if err := step.After(ctx, tx, effect); err != nil {
				return 0, nil, err
			}
		}
		effect.State = Done
		return http.StatusCreated, effect, nil
	}))
	s.Mux.HandleFunc("POST "+step.Path+"/{order}/undo", idem.Handle(s.DB, s.Log, func(ctx context.Context, tx db.Tx, r *http.Request, _ struct{}) (int, any, error) {
		order := r.PathValue("order")
		if err := Undo(ctx, tx, order, step.Reverse); err != nil {
			return 0, nil, Refused(err)
		}
		return http.StatusOK, map[string]string{"order": order, "state": string(Undone)}, nil
	}))
}

// Refused turns an error that the caller can understand into a refusal.
func Refused(err error) error {
	if status, sentence, ok := Refusal(err); ok {
		return idem.Refuse(status, sentence)
	}
	return err
}

// RegisterAudit adds GET prefix/audit to a service.
func RegisterAudit(s *service.Service, prefix string) {
	s.Handle("GET "+prefix+"/audit", Audit(s.DB))
}

// RegisterBalance adds GET prefix/{account} to a service: what the account
// holds. Account maps the name in the path to the ledger's.
func RegisterBalance(s *service.Service, prefix string, account func(name string) ledger.Account) {
	s.Handle("GET "+prefix+"/{account}", func(w http.ResponseWriter, r *http.Request) error {
		balances, err := ledger.Balances(r.Context(), s.DB.Read(), account(r.PathValue("account")))
		if err != nil {
			return err
		}
		if len(balances) == 0 {
			httpx.Error(w, http.StatusNotFound, "nothing is known by this name")
			return nil
		}
		httpx.JSON(w, http.StatusOK, map[string]any{"balances": balances})
		return nil
	})
}
