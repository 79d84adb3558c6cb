package payments

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/db/dbtest"
	"titrate/examples/cofe/internal/ledger"
	"titrate/examples/cofe/internal/psp"
	"titrate/examples/cofe/internal/service"
)

type till struct {
	mux *http.ServeMux
	db  *db.DB
}

func open(t *testing.T, kind string) till {
	t.Helper()
	s := &service.Service{DB: dbtest.Open(t, kind), Log: slog.New(slog.DiscardHandler), Mux: http.NewServeMux()}
	if err := Setup(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return till{s.Mux, s.DB}
}

func (m till) post(t *testing.T, path, key, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Idempotency-Key", key)
	w := httptest.NewRecorder()
	m.mux.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func (m till) token(t *testing.T, number string) string {
	t.Helper()
	status, body := m.post(t, "/payments/cards", "", `{"number":"`+number+`"}`)
	var card struct{ Token string }
	if err := json.Unmarshal([]byte(body), &card); err != nil || status != http.StatusCreated {
		t.Fatalf("card: %d %s", status, body)
	}
	return card.Token
}

// sales returns what the books say was earned in dinar.
func (m till) sales(t *testing.T) int64 {
	t.Helper()
	balances, err := ledger.Balances(t.Context(), m.db.Read(), ledger.House("sales"))
	if err != nil {
		t.Fatal(err)
	}
	if len(balances) == 0 {
		return 0
	}
	return balances[0].Minor
}

func charge(order, token string) string {
	return `{"order":"` + order + `","account":"` + token + `","amount":{"minor":4100,"currency":"KWD"}}`
}

func TestCharge_isBookedOnceHoweverOftenItIsAsked(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			m := open(t, kind)
			if status, body := m.post(t, "/payments/charges", "k0", charge("o-0", m.token(t, psp.Down))); status != http.StatusServiceUnavailable {
				t.Fatalf("down: %d %s", status, body)
			}
			token := m.token(t, psp.Busy)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if status, body := m.post(t, "/payments/charges", "k1", charge("o-1", token)); status != http.StatusCreated {
						t.Errorf("charge: %d %s", status, body)
					}
				})
			}
			all.Wait()
			if got := m.sales(t); got != 4100 {
				t.Errorf("booked %d", got)
			}
			for range 2 {
				if status, body := m.post(t, "/payments/charges/o-1/undo", "k1:undo", ``); status != http.StatusOK {
					t.Errorf("undo: %d %s", status, body)
				}
			}
			if got := m.sales(t); got != 0 {
				t.Errorf("booked %d after the refund", got)
			}
			if status, _ := m.post(t, "/payments/charges", "k2", charge("o-1", token)); status != http.StatusConflict {
				t.Errorf("charge after its undoing: %d", status)
			}
		})
	}
}

func TestCharge_thatIsDeclinedLeavesNothing(t *testing.T) {
	t.Parallel()
	m := open(t, "sqlite")
	token := m.token(t, psp.Declined)
	for range 2 {
		if status, body := m.post(t, "/payments/charges", "k1", charge("o-1", token)); status != http.StatusPaymentRequired || !strings.Contains(body, "the bank says no") {
			t.Errorf("declined: %d %s", status, body)
		}
	}
	if got := m.sales(t); got != 0 {
		t.Errorf("booked %d", got)
	}
	if status, _ := m.post(t, "/payments/charges", "k3", `{"order":"o-2","account":"x","amount":{"minor":-1,"currency":"KWD"}}`); status != http.StatusBadRequest {
		t.Errorf("a negative amount: %d", status)
	}
}
