package store

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"titrate/examples/cofe/internal/httpx"
	"titrate/examples/cofe/internal/money"
)

//go:embed page.html
var pageHTML string

//go:embed style.css
var pageCSS string

func parsePage() (*template.Template, error) {
	return template.New("page").Funcs(template.FuncMap{
		"css":   func() template.CSS { return template.CSS(pageCSS) },
		"times": func(unit int64, n int) int64 { return unit * int64(n) },
		"money": func(minor int64, c money.Currency) string { return money.Amount{Minor: minor, Currency: c}.String() },
	}).Parse(pageHTML)
}

// view is what the page shows.
type view struct {
	Title    string
	Part     string // "home", "cart" or "order"
	Customer string
	Currency money.Currency
	Banner   string
	Version  string
	Instance string

	Products []Product
	Lines    []Line
	Total    money.Amount
	Key      string // of the checkout that the cart's form makes
	Order    order
}

// home answers GET /.
func (s *store) home(w http.ResponseWriter, r *http.Request) error {
	v := s.visitor(w, r)
	products, err := s.products(r.Context(), v.currency)
	if err != nil {
		return err
	}
	return s.render(w, v, view{Title: "Coffees", Part: "home", Products: products})
}

// showCart answers GET /cart, as a page or as JSON.
func (s *store) showCart(w http.ResponseWriter, r *http.Request) error {
	v := s.visitor(w, r)
	cart, err := loadCart(r.Context(), s.DB.Read(), v.cart)
	if err != nil {
		return err
	}
	shelf, err := s.products(r.Context(), v.currency)
	if err != nil {
		return err
	}
	lines, total, err := cart.lines(shelf)
	if err != nil {
		return err
	}
	if !wantsPage(r) {
		httpx.JSON(w, http.StatusOK, map[string]any{"lines": lines, "total": total})
		return nil
	}
	return s.render(w, v, view{Title: "Your cart", Part: "cart", Lines: lines, Total: total, Key: httpx.NewID()})
}

// showOrder answers GET /order/{id}, as a page or as JSON.
func (s *store) showOrder(w http.ResponseWriter, r *http.Request) error {
	v := s.visitor(w, r)
	o, err := s.orderOf(r.Context(), r.PathValue("id"), "")
	if status, ok := httpx.Refused(err); ok {
		httpx.Error(w, status.Status, status.Sentence)
		return nil
	}
	if err != nil {
		return err
	}
	if !wantsPage(r) {
		httpx.JSON(w, http.StatusOK, o)
		return nil
	}
	return s.render(w, v, view{Title: "Order " + o.State, Part: "order", Order: o})
}

func (s *store) render(w http.ResponseWriter, v visitor, show view) error {
	show.Customer, show.Currency, show.Banner = v.customer, v.currency, s.banner
	show.Version, show.Instance = s.Version, s.Instance
	var page bytes.Buffer
	if err := s.page.Execute(&page, show); err != nil {
		return fmt.Errorf("render %s: %w", show.Part, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	_, err := page.WriteTo(w)
	if err != nil {
		return nil //nolint:nilerr // the visitor went away: nobody is left to tell
	}
	return nil
}

func wantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }
