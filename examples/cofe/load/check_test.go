package load_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"titrate/examples/cofe/load"
)

// books is what the services' audits say.
type books map[string]any

func (b books) serve(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("after") != "" {
			w.Write([]byte(`{}`))
			return
		}
		json.NewEncoder(w).Encode(b[r.URL.Path])
	}))
	t.Cleanup(server.Close)
	return server.URL
}

type m = map[string]any

func good() books {
	effect := func(order, state string, minor int) m {
		return m{"order": order, "state": state, "amount": m{"minor": minor, "currency": "KWD"}}
	}
	ledger := func() m { return m{"entries": 4, "sums": m{"KWD": 0}} }
	return books{
		"/orders/audit": m{"orders": []m{
			{"id": "o-1", "key": "key-1", "currency": "KWD", "total": 100, "credits": 30, "gift": 20, "card": 50, "state": "confirmed"},
			{"id": "o-2", "key": "key-2", "currency": "KWD", "total": 100, "credits": 100, "state": "rejected"},
		}},
		"/credits/audit":          m{"effects": []m{effect("o-1", "settled", 30), effect("o-2", "undone", 100)}, "ledger": ledger()},
		"/giftcards/audit":        m{"effects": []m{effect("o-1", "done", 20)}, "ledger": ledger()},
		"/payments/audit":         m{"effects": []m{effect("o-1", "done", 50)}, "ledger": ledger()},
		"/rewards/audit":          m{"effects": []m{effect("o-1", "done", 1)}, "ledger": ledger()},
		"/orders/outbox/status":   m{"head": 2, "consumers": m{"credits": 2, "notifications": 2}},
		"/payments/outbox/status": m{"head": 1, "consumers": m{"notifications": 1}},
		"/rewards/outbox/status":  m{"head": 1, "consumers": m{"notifications": 1}},
	}
}

func report() *load.Report {
	return &load.Report{Orders: map[string]string{"key-1": "o-1", "key-2": "o-2"}, Failures: []load.Failure{{ID: "load-1"}}}
}

func (b books) check(t *testing.T, r *load.Report) load.Verdict {
	t.Helper()
	v, err := load.Check(t.Context(), r, load.CheckConfig{
		URLs: load.AllAt(b.serve(t)), Patience: time.Millisecond, InLog: func(id string) bool { return id == "load-1" },
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestCheck_passesRightBooks(t *testing.T) {
	t.Parallel()
	v := good().check(t, report())
	if !v.OK || v.Orders != 2 || v.Confirmed != 1 || v.Rejected != 1 || v.Entries != 16 || len(v.Lost) != 0 {
		t.Errorf("%+v", v)
	}
}

// Each fault in the books is found, and said.
func TestCheck_findsWhatIsWrong(t *testing.T) {
	t.Parallel()
	order := func(b books, i int) m { return b["/orders/audit"].(m)["orders"].([]m)[i] }
	part := func(b books, name string, i int) m { return b["/"+name+"/audit"].(m)["effects"].([]m)[i] }
	for want, spoil := range map[string]func(books, *load.Report){
		"sum to 5":                     func(b books, _ *load.Report) { b["/credits/audit"].(m)["ledger"].(m)["sums"].(m)["KWD"] = 5 },
		"1 balances are negative":      func(b books, _ *load.Report) { b["/payments/audit"].(m)["ledger"].(m)["negative"] = 1 },
		"not the sum of their entries": func(b books, _ *load.Report) { b["/rewards/audit"].(m)["ledger"].(m)["drift"] = 2 },
		"applied twice":                func(b books, _ *load.Report) { order(b, 1)["key"] = "key-1" },
		"came to no end":               func(b books, _ *load.Report) { order(b, 0)["state"] = "accepted" },
		"payments has nothing of it":   func(b books, _ *load.Report) { part(b, "payments", 0)["state"] = "undone" },
		"credits has done of it":       func(b books, _ *load.Report) { part(b, "credits", 1)["state"] = "done" },
		"only held":                    func(b books, _ *load.Report) { part(b, "credits", 0)["state"] = "done" },
		"not 20 KWD":                   func(b books, _ *load.Report) { part(b, "giftcards", 0)["amount"].(m)["minor"] = 40 },
		"do not make its total":        func(b books, _ *load.Report) { order(b, 0)["total"] = 101 },
		"does not exist":               func(b books, _ *load.Report) { part(b, "rewards", 0)["order"] = "o-9" },
		"has kept 1 of 2":              func(b books, _ *load.Report) { b["/orders/outbox/status"].(m)["consumers"].(m)["notifications"] = 1 },
		"but there is":                 func(_ books, r *load.Report) { r.Orders["key-3"] = "o-3" },
		"two different orders":         func(_ books, r *load.Report) { r.Doubled = []string{"key-1"} },
		"in no service's log":          func(_ books, r *load.Report) { r.Failures[0].ID = "load-2" },
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			b, r := good(), report()
			spoil(b, r)
			v := b.check(t, r)
			if v.OK || !strings.Contains(fmt.Sprint(v.Problems), want) {
				t.Errorf("problems %q", v.Problems)
			}
		})
	}
}
