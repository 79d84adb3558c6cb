package load

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"

	"titrate/examples/cofe/internal/psp"
	"titrate/examples/cofe/internal/seed"
)

// step is one request of a journey.
type step struct {
	name    string // method and route, for the figures
	method  string
	path    string
	body    any
	key     string // Idempotency-Key
	html    bool
	twice   bool  // sent twice at the same time: a customer who clicks again
	expects []int // besides 200
}

// session is a customer on a journey. One request of it is under way at most
// (two where a step is sent twice), so its fields need no lock.
type session struct {
	customer string
	cart     string
	key      string
	steps    []step // still to do
	tries    int    // of the first of them
	order    string // once the checkout was accepted
}

// newSession plans a journey: look around, put something into the cart, and
// mostly buy it.
func newSession(r *rand.Rand) *session {
	customer, _ := seed.Customer(1 + r.IntN(seed.Customers))
	s := &session{customer: customer, cart: fmt.Sprintf("cart-%016x", r.Uint64()), key: fmt.Sprintf("key-%016x%016x", r.Uint64(), r.Uint64())}
	products := seed.Products()
	pick := func() string { return products[r.IntN(len(products))].ID }

	if r.IntN(2) == 0 {
		s.plan(step{name: "GET /", method: http.MethodGet, path: "/", html: true})
	} else {
		s.plan(step{name: "GET /products", method: http.MethodGet, path: "/products"})
	}
	if r.IntN(5) < 2 {
		words := []string{"ethiopia", "cocoa", "al dirwaza", "fig cardamom", "tea"}
		s.plan(step{name: "GET /products?q=", method: http.MethodGet, path: "/products?q=" + words[r.IntN(len(words))]})
		s.steps[len(s.steps)-1].path = escapeSpaces(s.steps[len(s.steps)-1].path)
	}
	for range 1 + r.IntN(2) {
		s.plan(step{name: "GET /products/{id}", method: http.MethodGet, path: "/products/" + pick()})
	}
	adds := 1
	if r.IntN(5) < 2 {
		adds = 2 + r.IntN(2)
	}
	for range adds {
		s.plan(step{name: "POST /cart/items", method: http.MethodPost, path: "/cart/items", body: map[string]any{"product": pick(), "quantity": 1 + r.IntN(2)}})
	}
	if r.IntN(10) < 3 {
		return s // leaves the cart behind
	}
	if r.IntN(4) == 0 {
		s.plan(step{name: "GET /cart", method: http.MethodGet, path: "/cart", html: true})
	}
	s.plan(step{
		name: "POST /checkout", method: http.MethodPost, path: "/checkout", key: s.key, body: pay(r), twice: r.IntN(20) == 0,
		expects: []int{http.StatusCreated, http.StatusAccepted, http.StatusPaymentRequired},
	})
	return s
}

func (s *session) plan(st step) { s.steps = append(s.steps, st) }

func escapeSpaces(path string) string {
	b := []byte(path)
	for i := range b {
		if b[i] == ' ' {
			b[i] = '+'
		}
	}
	return string(b)
}

// pay chooses how a journey ends: mostly by card, now and then with one that
// does not pay.
func pay(r *rand.Rand) map[string]any {
	card := psp.Pays
	switch n := r.IntN(100); {
	case n < 5:
		card = psp.Declined
	case n < 7:
		card = psp.Poor
	case n < 10:
		card = psp.Busy
	}
	pay := map[string]any{"card": card}
	switch n := r.IntN(10); {
	case n < 3:
		pay["credits"] = true
	case n < 5:
		code, _ := seed.GiftCard(1 + r.IntN(seed.GiftCards))
		pay["gift_card"] = code
	case n < 6:
		code, _ := seed.GiftCard(1 + r.IntN(seed.GiftCards))
		pay["credits"], pay["gift_card"] = true, code
	}
	return pay
}

// answered moves the session on after an answer. A failed step is done again, as
// customers do, three times at most; more reports whether there is a next one.
func (s *session) answered(st step, a answer, failed bool) (more bool) {
	if failed {
		s.tries++
		return s.tries < 3
	}
	s.steps, s.tries = s.steps[1:], 0
	switch {
	case st.key != "" && a.order.ID != "":
		s.order = a.order.ID
		s.plan(step{name: "GET /order/{id}", method: http.MethodGet, path: "/order/" + s.order})
	case s.order != "" && a.order.State == "accepted":
		s.plan(st) // not over yet: looks again
	}
	return len(s.steps) > 0
}

func (st step) expected(status int) bool {
	return status == http.StatusOK || slices.Contains(st.expects, status)
}
