// Package store is the shop window: pages for people, JSON for programs, a cart
// each, and a checkout that hands the order over to the orders service.
package store

import (
	"context"
	"html/template"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/service"
)

// Name is the service's name.
const Name = "store"

// store is the service.
type store struct {
	*service.Service
	page *template.Template

	orders, payments, credits, giftcards string // addresses
	banner                               string // a sentence above the coffees; empty: none
}

// Setup makes a process the service.
func Setup(ctx context.Context, s *service.Service) error {
	err := s.DB.Migrate(ctx, productMigrations(), cartMigrations())
	if err != nil {
		return err
	}
	st := &store{Service: s, banner: s.Getenv("BANNER")}
	if st.page, err = parsePage(); err != nil {
		return err
	}
	for name, into := range map[string]*string{
		"orders": &st.orders, "payments": &st.payments, "credits": &st.credits, "giftcards": &st.giftcards,
	} {
		if *into, err = s.URL(name); err != nil {
			return err
		}
	}
	s.Sweep(sweepCarts)
	s.Handle("GET /{$}", st.home)
	s.Handle("GET /products", st.list)
	s.Handle("GET /products/{id}", st.show)
	s.Handle("GET /cart", st.showCart)
	s.Handle("POST /cart/items", st.addItem)
	s.Handle("POST /cart/remove", st.removeItem)
	s.Handle("POST /checkout", st.checkout)
	s.Handle("GET /order/{id}", st.showOrder)
	return nil
}

// sweepCarts forgets carts and checkouts that nobody has touched since before.
func sweepCarts(ctx context.Context, tx db.Tx, before int64) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM carts WHERE at < $1`, before); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM checkouts WHERE at < $1`, before)
	return err
}
