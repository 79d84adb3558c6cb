package store

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/db/dbtest"
	"titrate/examples/cofe/internal/httpx"
	"titrate/examples/cofe/internal/service"
)

// shop is the store with stand-ins for the services that it calls.
type shop struct {
	mux    *http.ServeMux
	db     *db.DB
	mu     sync.Mutex
	bodies map[string][]string // of POST /orders, by key
	fail   bool                // the next answer of orders is lost
}

func open(t *testing.T, kind string) *shop {
	t.Helper()
	s := &shop{mux: http.NewServeMux(), bodies: map[string][]string{}}
	others := http.NewServeMux()
	others.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		key := r.Header.Get(httpx.IdempotencyKey)
		s.mu.Lock()
		s.bodies[key] = append(s.bodies[key], string(body))
		fail := s.fail
		s.fail = false
		s.mu.Unlock()
		if fail {
			httpx.Error(w, http.StatusInternalServerError, "gone")
			return
		}
		httpx.JSON(w, http.StatusAccepted, map[string]string{"id": "o-" + key})
	})
	others.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") == "o-away" {
			httpx.Error(w, http.StatusBadGateway, "orders is away")
			return
		}
		httpx.JSON(w, http.StatusOK, order{ID: r.PathValue("id"), State: "confirmed", Currency: "KWD", Total: 8200, Card: 8200, Lines: []Line{{Product: "kivu", Name: "Lake <Kivu>", Quantity: 2, Unit: 4100}}})
	})
	others.HandleFunc("POST /payments/cards", func(w http.ResponseWriter, _ *http.Request) {
		httpx.JSON(w, http.StatusCreated, map[string]string{"token": "card-" + httpx.NewID()})
	})
	others.HandleFunc("GET /credits/{id}", func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`{"balances":[{"minor":1000,"currency":"KWD"},{"minor":5,"currency":"USD"}]}`))
	})
	others.HandleFunc("GET /giftcards/{code}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("code") != "GIFT-0005" {
			httpx.Error(w, http.StatusNotFound, "nothing is known by this name")
			return
		}
		w.Write([]byte(`{"balances":[{"minor":700,"currency":"KWD"}]}`))
	})
	server := httptest.NewServer(others)
	t.Cleanup(server.Close)
	s.db = dbtest.Open(t, kind)
	err := Setup(t.Context(), &service.Service{
		Config: service.Config{Version: "v7", Instance: "store-7-a", Getenv: func(string) string { return server.URL }},
		DB:     s.db, Log: slog.New(slog.DiscardHandler), Client: httpx.NewClient("store"), Mux: s.mux,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *shop) do(t *testing.T, method, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(context.WithoutCancel(t.Context()), method, path, strings.NewReader(body))
	r.Header.Set("Cookie", "customer=c-0005; cart=cart-12345678")
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r)
	return w
}

// The same checkout again, also after a lost answer and at the same time, sends
// the orders service the same words, and empties the cart once.
func TestCheckout_sendsTheSameWordsForAKey(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := open(t, kind)
			s.do(t, "POST", "/cart/items", `{"product":"kivu","quantity":2}`)
			pay := `{"card":"4242424242424242","credits":true,"gift_card":"GIFT-0005"}`
			s.fail = true
			if w := s.do(t, "POST", "/checkout", pay, "Idempotency-Key", "k1"); w.Code != 500 {
				t.Fatalf("lost answer: %d %s", w.Code, w.Body)
			}
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if w := s.do(t, "POST", "/checkout", pay, "Idempotency-Key", "k1"); w.Code != 201 {
						t.Errorf("again: %d %s", w.Code, w.Body)
					}
				})
			}
			all.Wait()
			s.do(t, "POST", "/cart/items", `{"product":"nyeri","quantity":1}`)
			if w := s.do(t, "POST", "/checkout", pay, "Idempotency-Key", "k1"); w.Code != 201 {
				t.Errorf("later: %d %s", w.Code, w.Body)
			}
			for _, b := range s.bodies["k1"] {
				if b != s.bodies["k1"][0] {
					t.Errorf("sent\n%s\nand\n%s", s.bodies["k1"][0], b)
				}
			}
			var sent orderRequest
			if err := json.Unmarshal([]byte(s.bodies["k1"][0]), &sent); err != nil || sent.Credits != 1000 || sent.Gift != 700 || sent.CardToken == "" {
				t.Errorf("sent %+v (%v)", sent, err)
			}
			if w := s.do(t, "GET", "/cart", ""); !strings.Contains(w.Body.String(), "nyeri") || strings.Contains(w.Body.String(), "kivu") {
				t.Errorf("the cart has %s", w.Body)
			}
			if w := s.do(t, "POST", "/checkout", `{"card":"4000000000000002"}`, "Idempotency-Key", "k1"); w.Code != 422 {
				t.Errorf("another payment under the key: %d", w.Code)
			}
		})
	}
}

// Of checkouts that a customer sends at the same time, one may find the cart
// emptied by another: it is the same checkout all the same.
func TestCheckout_clickedTwiceIsOneCheckout(t *testing.T) {
	t.Parallel()
	s := open(t, "sqlite")
	for round := range 40 {
		key, cart := fmt.Sprintf("twice-%d", round), fmt.Sprintf("customer=c-0005; cart=cart-%08d", round)
		s.do(t, "POST", "/cart/items", `{"product":"kivu","quantity":1}`, "Cookie", cart)
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				if w := s.do(t, "POST", "/checkout", `{"card":"4242424242424242"}`, "Idempotency-Key", key, "Cookie", cart); w.Code != 201 {
					t.Errorf("round %d: %d %s", round, w.Code, w.Body)
				}
			})
		}
		all.Wait()
	}
}

func TestCheckout_storesNoCardNumber(t *testing.T) {
	t.Parallel()
	s := open(t, "sqlite")
	s.do(t, "POST", "/cart/items", `{"product":"kivu"}`)
	if w := s.do(t, "POST", "/checkout", `{"card":"4242 4242 4242 4242"}`, "Idempotency-Key", "k1"); w.Code != 201 {
		t.Fatalf("checkout: %d %s", w.Code, w.Body)
	}
	var file string
	if err := s.db.Read().QueryRowContext(t.Context(), `SELECT file FROM pragma_database_list WHERE name = 'main'`).Scan(&file); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(file + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if text, err := os.ReadFile(f); err != nil || strings.Contains(string(text), "4242424242424242") {
			t.Errorf("%s has the card's number (%v)", filepath.Base(f), err)
		}
	}
}

// An accepted order comes to its end; that orders cannot tell at the moment is
// no failure of the checkout.
func TestCheckout_isAcceptedThoughItsEndIsNotKnown(t *testing.T) {
	t.Parallel()
	s := open(t, "sqlite")
	s.do(t, "POST", "/cart/items", `{"product":"kivu"}`)
	w := s.do(t, "POST", "/checkout", `{"card":"4242424242424242"}`, "Idempotency-Key", "away")
	if w.Code != http.StatusAccepted || !strings.Contains(w.Body.String(), `"id":"o-away"`) {
		t.Errorf("checkout: %d %s", w.Code, w.Body)
	}
}

func TestCheckout_saysWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := open(t, "sqlite")
	if w := s.do(t, "POST", "/checkout", `{}`, "Idempotency-Key", "k1"); w.Code != 409 || !strings.Contains(w.Body.String(), "empty") {
		t.Errorf("empty cart: %d %s", w.Code, w.Body)
	}
	s.do(t, "POST", "/cart/items", `{"product":"kivu"}`)
	for body, want := range map[string]int{`{}`: 402, `{"gift_card":"GIFT-9999","card":"4242424242424242"}`: 404, `{`: 400} {
		if w := s.do(t, "POST", "/checkout", body, "Idempotency-Key", "k-"+body[:1]+http.StatusText(want)); w.Code != want {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	if w := s.do(t, "POST", "/checkout", `{}`); w.Code != 400 {
		t.Errorf("no key: %d", w.Code)
	}
}

func TestPages_showWhoAnsweredAndEscape(t *testing.T) {
	t.Parallel()
	s := open(t, "sqlite")
	s.do(t, "POST", "/cart/items", "product=kivu&quantity=2", "Content-Type", "application/x-www-form-urlencoded")
	for path, want := range map[string]string{
		"/":          "Lake Kivu",
		"/cart":      "KWD 8.200",
		"/order/o-1": "Lake &lt;Kivu&gt;",
	} {
		w := s.do(t, "GET", path, "", "Accept", "text/html")
		page := w.Body.String()
		for _, want := range []string{want, "<b>v7</b>", "store-7-a", `lang="en"`, "Skip to the content"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s has no %q:\n%s", path, want, page)
			}
		}
		for _, never := range []string{"ZgotmplZ", `="http`, "url(", "<script"} {
			if strings.Contains(page, never) {
				t.Errorf("%s has %q", path, never)
			}
		}
	}
	w := s.do(t, "POST", "/checkout", "key=k9&card=4242424242424242", "Content-Type", "application/x-www-form-urlencoded")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/order/o-k9" {
		t.Errorf("form: %d to %s", w.Code, w.Header().Get("Location"))
	}
}
