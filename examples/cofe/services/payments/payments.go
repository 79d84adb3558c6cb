// Package payments charges cards through a payment provider (a fake one, see
// package psp) and keeps the books of it.
package payments

import (
	"context"
	"errors"
	"net/http"

	"titrate/examples/cofe/internal/httpx"
	"titrate/examples/cofe/internal/idem"
	"titrate/examples/cofe/internal/ledger"
	"titrate/examples/cofe/internal/outbox"
	"titrate/examples/cofe/internal/participant"
	"titrate/examples/cofe/internal/psp"
	"titrate/examples/cofe/internal/service"
)

// Name is the service's name.
const Name = "payments"

// payments is the service.
type payments struct {
	*service.Service
	provider psp.Provider
}

// Setup makes a process the service.
func Setup(ctx context.Context, s *service.Service) error {
	err := s.DB.Migrate(ctx, ledger.Migrations(), idem.Migrations(), participant.Migrations(), outbox.Migrations(), psp.Migrations())
	if err != nil {
		return err
	}
	s.Sweep(idem.Sweep, outbox.Sweep)
	p := payments{s, psp.Provider{DB: s.DB}}
	s.Handle("POST /payments/cards", p.card)
	s.Mux.HandleFunc("POST /payments/charges", p.charge)
	s.Mux.HandleFunc("POST /payments/charges/{order}/undo", p.undo)
	participant.RegisterAudit(s, "/payments")
	outbox.Register(s.Mux, "/payments", s.DB, s.Log)
	return nil
}

// card exchanges a number for a token. It may be asked again: tokens are cheap,
// and the number is kept by the provider only.
func (p payments) card(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Number string `json:"number"`
	}
	if !readJSON(w, r, &in) {
		return nil
	}
	token, last4, err := p.provider.Token(r.Context(), in.Number)
	if errors.Is(err, psp.ErrNumber) {
		httpx.Error(w, http.StatusUnprocessableEntity, err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	httpx.JSON(w, http.StatusCreated, map[string]string{"token": token, "last4": last4})
	return nil
}
