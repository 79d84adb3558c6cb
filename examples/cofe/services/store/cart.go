package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/httpx"
	"titrate/examples/cofe/internal/money"
)

// Cart is what a visitor wants, in the order of adding.
type Cart struct {
	Items []Item
}

// Item is a quantity of a product.
type Item struct {
	Product  string `json:"product"`
	Quantity int    `json:"quantity"`
}

// Line is an item with its name and price, as the orders service takes it.
type Line struct {
	Product  string `json:"product"`
	Name     string `json:"name"`
	Quantity int    `json:"quantity"`
	Unit     int64  `json:"unit"`
}

// most bounds a cart's items and an item's quantity.
const most = 50

func cartMigrations() []db.Migration {
	return []db.Migration{{Name: "carts-1", SQL: []string{
		`CREATE TABLE carts (id TEXT PRIMARY KEY, items TEXT NOT NULL, at BIGINT NOT NULL)`,
		`CREATE INDEX carts_at ON carts (at)`,
		`CREATE TABLE checkouts (key TEXT PRIMARY KEY, request_hash TEXT NOT NULL, cart TEXT NOT NULL, request TEXT NOT NULL,
			order_id TEXT NOT NULL, at BIGINT NOT NULL)`,
		`CREATE INDEX checkouts_at ON checkouts (at)`,
	}}}
}

// add puts n more of a product into the cart; ok is false when that is too much.
func (c *Cart) add(product string, n int) (ok bool) {
	i := slices.IndexFunc(c.Items, func(it Item) bool { return it.Product == product })
	if i < 0 {
		c.Items = append(c.Items, Item{Product: product})
		i = len(c.Items) - 1
	}
	c.Items[i].Quantity += n
	return len(c.Items) <= most && c.Items[i].Quantity <= most
}

func (c *Cart) remove(product string) {
	c.Items = slices.DeleteFunc(c.Items, func(it Item) bool { return it.Product == product })
}

// lines prices the cart from the shelf; what is no longer sold is left out.
func (c Cart) lines(shelf []Product) ([]Line, money.Amount, error) {
	var lines []Line
	var total money.Amount
	for _, it := range c.Items {
		i := slices.IndexFunc(shelf, func(p Product) bool { return p.ID == it.Product })
		if i < 0 {
			continue
		}
		part, err := money.Times(shelf[i].Price.Minor, it.Quantity)
		if err != nil {
			return nil, total, err
		}
		if total.Minor, err = money.Add(total.Minor, part); err != nil {
			return nil, total, err
		}
		total.Currency = shelf[i].Price.Currency
		lines = append(lines, Line{Product: it.Product, Name: shelf[i].Name, Quantity: it.Quantity, Unit: shelf[i].Price.Minor})
	}
	return lines, total, nil
}

func loadCart(ctx context.Context, q db.Querier, id string) (Cart, error) {
	var c Cart
	var items string
	err := q.QueryRowContext(ctx, `SELECT items FROM carts WHERE id = $1`, id).Scan(&items)
	if errors.Is(err, sql.ErrNoRows) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("read the cart: %w", err)
	}
	return c, json.Unmarshal([]byte(items), &c.Items)
}

// changeCart applies change to a cart and stores it.
func (s *store) changeCart(ctx context.Context, id string, change func(*Cart) bool) (c Cart, ok bool, err error) {
	err = s.DB.Write(ctx, func(tx db.Tx) error {
		if c, err = loadCart(ctx, tx, id); err != nil {
			return err
		}
		if ok = change(&c); !ok {
			return nil
		}
		items, err := json.Marshal(c.Items)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO carts (id, items, at) VALUES ($1, $2, $3)
			ON CONFLICT (id) DO UPDATE SET items = excluded.items, at = excluded.at`, id, string(items), db.Now())
		return err
	})
	return c, ok, err
}

// addItem answers POST /cart/items, from a form or as JSON.
func (s *store) addItem(w http.ResponseWriter, r *http.Request) error {
	v := s.visitor(w, r)
	in := Item{Quantity: 1}
	if isForm(r) {
		in.Product = r.PostFormValue("product")
		if n, err := strconv.Atoi(r.PostFormValue("quantity")); err == nil {
			in.Quantity = n
		}
	} else if !readJSON(w, r, &in) {
		return nil
	}
	if in.Quantity < 1 || in.Quantity > most {
		httpx.Error(w, http.StatusBadRequest, fmt.Sprintf("the quantity is 1 to %d", most))
		return nil
	}
	if _, ok, err := s.product(r.Context(), in.Product, v.currency); err != nil || !ok {
		if err == nil {
			httpx.Error(w, http.StatusNotFound, "we have no such coffee")
		}
		return err
	}
	cart, ok, err := s.changeCart(r.Context(), v.cart, func(c *Cart) bool { return c.add(in.Product, in.Quantity) })
	switch {
	case err != nil:
		return err
	case !ok:
		httpx.Error(w, http.StatusConflict, fmt.Sprintf("a cart holds %d of each coffee at most", most))
	case isForm(r):
		http.Redirect(w, r, "/cart", http.StatusSeeOther)
	default:
		httpx.JSON(w, http.StatusOK, map[string]any{"items": cart.Items})
	}
	return nil
}

// removeItem answers POST /cart/remove.
func (s *store) removeItem(w http.ResponseWriter, r *http.Request) error {
	v := s.visitor(w, r)
	product := r.PostFormValue("product")
	if _, _, err := s.changeCart(r.Context(), v.cart, func(c *Cart) bool { c.remove(product); return true }); err != nil {
		return err
	}
	http.Redirect(w, r, "/cart", http.StatusSeeOther)
	return nil
}

func isForm(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
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
