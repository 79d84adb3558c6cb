// Package orders takes orders and sees each through to one end: confirmed, with
// every part of it done, or rejected, with every part of it undone.
package orders

import (
	"context"
	"net/http"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/httpx"
	"titrate/examples/cofe/internal/idem"
	"titrate/examples/cofe/internal/outbox"
	"titrate/examples/cofe/internal/service"
)

// Name is the service's name.
const Name = "orders"

// orders is the service.
type orders struct {
	*service.Service
	saga *saga
}

// Setup makes a process the service.
func Setup(ctx context.Context, s *service.Service) error {
	err := s.DB.Migrate(ctx, idem.Migrations(), outbox.Migrations(), []db.Migration{{Name: "orders-1", SQL: []string{
		`CREATE TABLE orders (id TEXT PRIMARY KEY, key TEXT NOT NULL, customer TEXT NOT NULL, currency TEXT NOT NULL,
			total BIGINT NOT NULL, credits BIGINT NOT NULL, gift BIGINT NOT NULL, gift_code TEXT NOT NULL,
			card BIGINT NOT NULL, card_token TEXT NOT NULL, lines TEXT NOT NULL,
			state TEXT NOT NULL, reason TEXT NOT NULL, at BIGINT NOT NULL)`,
		`CREATE TABLE sagas (order_id TEXT PRIMARY KEY, direction TEXT NOT NULL, step BIGINT NOT NULL, reason TEXT NOT NULL,
			owner TEXT NOT NULL, until BIGINT NOT NULL, tries BIGINT NOT NULL, next_at BIGINT NOT NULL, at BIGINT NOT NULL,
			request_id TEXT NOT NULL)`,
		// Only what is not over is looked for, again and again.
		`CREATE INDEX sagas_open ON sagas (next_at) WHERE direction <> 'over'`,
	}}})
	if err != nil {
		return err
	}
	runner, err := newSaga(s)
	if err != nil {
		return err
	}
	s.Sweep(idem.Sweep, outbox.Sweep)
	o := orders{s, runner}
	s.Mux.HandleFunc("POST /orders", o.accept)
	s.Handle("GET /orders/audit", o.audit)
	s.Handle("GET /orders/{id}", o.show)
	outbox.Register(s.Mux, "/orders", s.DB, s.Log)
	s.Background("saga", runner.Run)
	return nil
}

// pageSize bounds one answer of the audit.
const pageSize = 2000

// audit answers with the orders after ?after=, by id, for reconciling.
func (o orders) audit(w http.ResponseWriter, r *http.Request) error {
	page, err := db.All(r.Context(), o.DB.Read(), scanOrder, selectOrder+` WHERE id > $1 ORDER BY id LIMIT $2`,
		r.URL.Query().Get("after"), pageSize)
	if err != nil {
		return err
	}
	httpx.JSON(w, http.StatusOK, map[string]any{"orders": page})
	return nil
}
