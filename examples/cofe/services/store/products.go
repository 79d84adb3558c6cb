package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"net/http"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/httpx"
	"titrate/examples/cofe/internal/money"
	"titrate/examples/cofe/internal/seed"
)

// Product is a coffee with its price in one currency.
type Product struct {
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	Roaster string       `json:"roaster"`
	Origin  string       `json:"origin"`
	Notes   string       `json:"notes"`
	Price   money.Amount `json:"price"`
}

func productMigrations() []db.Migration {
	return []db.Migration{{Name: "products-1", SQL: []string{
		`CREATE TABLE products (id TEXT PRIMARY KEY, name TEXT NOT NULL, roaster TEXT NOT NULL, origin TEXT NOT NULL,
			notes TEXT NOT NULL, position BIGINT NOT NULL)`,
		`CREATE TABLE prices (product TEXT NOT NULL, currency TEXT NOT NULL, minor BIGINT NOT NULL, PRIMARY KEY (product, currency))`,
	}, Then: firstDay}}
}

// firstDay puts the coffees on the shelf.
func firstDay(ctx context.Context, tx db.Tx) error {
	for i, p := range seed.Products() {
		if _, err := tx.ExecContext(ctx, `INSERT INTO products (id, name, roaster, origin, notes, position) VALUES ($1, $2, $3, $4, $5, $6)`,
			p.ID, p.Name, p.Roaster, p.Origin, p.Notes, i); err != nil {
			return err
		}
		for _, c := range money.Currencies() {
			if _, err := tx.ExecContext(ctx, `INSERT INTO prices (product, currency, minor) VALUES ($1, $2, $3)`, p.ID, c, seed.Price(p.Fils, c).Minor); err != nil {
				return err
			}
		}
	}
	return nil
}

const selectProduct = `SELECT p.id, p.name, p.roaster, p.origin, p.notes, pr.currency, pr.minor
	FROM products p JOIN prices pr ON pr.product = p.id AND pr.currency = $1`

func scanProduct(scan func(...any) error) (Product, error) {
	var p Product
	return p, scan(&p.ID, &p.Name, &p.Roaster, &p.Origin, &p.Notes, &p.Price.Currency, &p.Price.Minor)
}

// products returns the shelf with prices in c.
func (s *store) products(ctx context.Context, c money.Currency) ([]Product, error) {
	return db.All(ctx, s.DB.Read(), scanProduct, selectProduct+` ORDER BY p.position`, c)
}

// product returns one coffee; ok is false when there is none with this id.
func (s *store) product(ctx context.Context, id string, c money.Currency) (p Product, ok bool, err error) {
	p, err = scanProduct(s.DB.Read().QueryRowContext(ctx, selectProduct+` WHERE p.id = $2`, c, id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return p, false, nil
	}
	return p, err == nil, err
}

// list answers GET /products.
func (s *store) list(w http.ResponseWriter, r *http.Request) error {
	products, err := s.products(r.Context(), s.visitor(w, r).currency)
	if err != nil {
		return err
	}
	httpx.JSON(w, http.StatusOK, map[string]any{"products": products})
	return nil
}

// show answers GET /products/{id}.
func (s *store) show(w http.ResponseWriter, r *http.Request) error {
	p, ok, err := s.product(r.Context(), r.PathValue("id"), s.visitor(w, r).currency)
	if err != nil {
		return err
	}
	if !ok {
		httpx.Error(w, http.StatusNotFound, "we have no such coffee")
		return nil
	}
	httpx.JSON(w, http.StatusOK, p)
	return nil
}

// visitor is who looks: a customer and a cart, both named by cookies.
type visitor struct {
	customer string
	currency money.Currency
	cart     string
}

// visitor reads the cookies, and sets what is missing. There is no sign-in: a
// new visitor becomes one of the seeded customers.
func (s *store) visitor(w http.ResponseWriter, r *http.Request) visitor {
	v := visitor{customer: cookie(r, "customer"), cart: cookie(r, "cart")}
	currency, ok := seed.Currency(v.customer)
	if !ok {
		v.customer, currency = seed.Customer(1)
		http.SetCookie(w, &http.Cookie{Name: "customer", Value: v.customer, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	v.currency = cmp.Or(currency, money.KWD)
	if len(v.cart) < 8 || len(v.cart) > 64 {
		v.cart = httpx.NewID()
		http.SetCookie(w, &http.Cookie{Name: "cart", Value: v.cart, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	return v
}

func cookie(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}
