package orders

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/db/dbtest"
	"titrate/examples/cofe/internal/httpx"
	"titrate/examples/cofe/internal/idem"
	"titrate/examples/cofe/internal/ledger"
	"titrate/examples/cofe/internal/money"
	"titrate/examples/cofe/internal/participant"
	"titrate/examples/cofe/internal/service"
)

// half is a participant with real keys, effects and ledger.
type half struct {
	db  *db.DB
	url string
}

// newHalf starts the participant of a step. Of its answers a share is lost, half
// of them after the effect.
func newHalf(t *testing.T, kind string, st step, lost float64) half {
	t.Helper()
	d := dbtest.Open(t, kind, ledger.Migrations(), idem.Migrations(), participant.Migrations())
	s := &service.Service{DB: d, Log: slog.New(slog.DiscardHandler), Mux: http.NewServeMux()}
	participant.Register(s, participant.Step{
		Path: st.path,
		Effect: func(ask participant.Ask) (participant.Effect, []ledger.Entry) {
			e := participant.Effect{Order: ask.Order, Account: ledger.Account(ask.Account), Amount: ask.Amount}
			from := e.Account
			if ask.Account != "poor" {
				from = ledger.House("granted") // has enough of everything
			}
			return e, ledger.Move(from, ledger.Account("held:"+ask.Order), e.Amount)
		},
		Reverse: func(e participant.Effect) []ledger.Entry {
			return ledger.Move(ledger.Account("held:"+e.Order), ledger.House("granted"), e.Amount)
		},
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rand.Float64() >= lost {
			s.Mux.ServeHTTP(w, r)
			return
		}
		if rand.IntN(2) == 0 {
			s.Mux.ServeHTTP(httptest.NewRecorder(), r)
		}
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	return half{d, server.URL}
}

// process is one process of the orders service on shared data.
type process struct {
	*service.Service
	mux  *http.ServeMux
	stop func() // of its sagas: it still takes orders, as a process that drains does
}

func startProcess(t *testing.T, address, name, instance string, halves map[string]half) process {
	t.Helper()
	d, err := db.Open(t.Context(), address, name)
	if err != nil {
		t.Fatal(err)
	}
	urls := map[string]string{}
	for n, h := range halves {
		urls["TITRATE_URL_"+map[string]string{"credits": "CREDITS", "giftcards": "GIFTCARDS", "payments": "PAYMENTS", "rewards": "REWARDS"}[n]] = h.url
	}
	s := &service.Service{
		Config: service.Config{Instance: instance, Getenv: func(k string) string { return urls[k] }},
		Name:   "orders", Owner: instance, DB: d, Log: slog.New(slog.DiscardHandler), Client: httpx.NewClient("orders"), Mux: http.NewServeMux(),
	}
	if err := Setup(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	runner, err := newSaga(s)
	if err != nil {
		t.Fatal(err)
	}
	o := orders{s, runner}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", o.accept)
	s.Handle("GET /show/{id}", o.show)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := runner.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop := sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(func() { stop(); s.Client.Close(); d.Close() })
	return process{s, mux, stop}
}

func (p process) order(t *testing.T, key string, in Request) string {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/orders", bytes.NewReader(body))
	r.Header.Set("Idempotency-Key", key)
	w := httptest.NewRecorder()
	p.mux.ServeHTTP(w, r)
	var accepted struct{ ID string }
	if err := json.Unmarshal(w.Body.Bytes(), &accepted); err != nil || w.Code != http.StatusAccepted {
		t.Fatalf("order %s: %d %s", key, w.Code, w.Body)
	}
	return accepted.ID
}

// Every part pays, or one does not: whatever answers are lost, and whichever of
// two processes goes on, an order ends with all of its parts or with none.
func TestSaga_endsWithAllPartsOrNone(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			halves := map[string]half{}
			for _, st := range steps() {
				halves[st.service] = newHalf(t, kind, st, .15)
			}
			address, name := dbtest.Address(t, kind)
			first := startProcess(t, address, name, "orders-1-a", halves)
			second := startProcess(t, address, name, "orders-2-a", halves)
			rejected := map[string]bool{}
			for i := range 60 {
				in := Request{Customer: "c-1", Currency: money.KWD, Lines: []Line{{Product: "kivu", Quantity: 2, Unit: 500}}, Credits: 300, Gift: 200, GiftCode: "g", CardToken: "card"}
				poor := i%4 == 0
				switch i % 12 {
				case 0:
					in.Customer = "poor"
				case 4:
					in.GiftCode = "poor"
				case 8:
					in.CardToken = "poor"
				}
				p := first
				if i%2 == 1 {
					p = second
				}
				key := fmt.Sprint("key-", i)
				id := p.order(t, key, in)
				if other := first.order(t, key, in); other != id {
					t.Fatalf("the same key has the orders %s and %s", id, other)
				}
				rejected[id] = poor
				if i == 30 {
					first.stop()
				}
			}
			all := waitForEnds(t, second, len(rejected))
			for _, o := range all {
				if want := map[bool]State{true: Rejected, false: Confirmed}[rejected[o.ID]]; o.State != want {
					t.Errorf("order %s is %s (%s), want %s", o.ID, o.State, o.Reason, want)
				}
				for name, h := range halves {
					e, err := participant.Of(t.Context(), h.db.Read(), o.ID)
					there := err == nil && e.State == participant.Done
					if there != (o.State == Confirmed) {
						t.Errorf("order %s is %s, but %s has %q", o.ID, o.State, name, e.State)
					}
				}
			}
			for name, h := range halves {
				if err := h.db.Snapshot(t.Context(), func(q db.Querier) error {
					audit, err := ledger.Check(t.Context(), q)
					for _, p := range audit.Problems() {
						t.Errorf("%s: %s", name, p)
					}
					return err
				}); err != nil {
					t.Fatal(err)
				}
			}
			var events int
			if err := second.DB.Read().QueryRowContext(t.Context(), `SELECT COUNT(*) FROM outbox`).Scan(&events); err != nil || events != len(rejected) {
				t.Errorf("%d events of %d orders (%v)", events, len(rejected), err)
			}
		})
	}
}

// A process that is killed right after accepting leaves a saga that another one
// takes over when its lease has run out.
func TestSaga_goesOnAfterItsProcessDied(t *testing.T) {
	t.Parallel()
	halves := map[string]half{}
	for _, st := range steps() {
		halves[st.service] = newHalf(t, "sqlite", st, 0)
	}
	address, name := dbtest.Address(t, "sqlite")
	p := startProcess(t, address, name, "orders-1-a", halves)
	dead := orders{p.Service, &saga{Service: p.Service}}
	o, sentence := Request{Customer: "c-1", Currency: money.JPY, Lines: []Line{{Product: "kivu", Quantity: 1, Unit: 500}}, CardToken: "card"}.order()
	if sentence != "" {
		t.Fatal(sentence)
	}
	o.ID, o.Key, o.At = "o-orphan", "k", db.Now()
	began := time.Now()
	if err := p.DB.Write(t.Context(), func(tx db.Tx) error { return dead.insert(t.Context(), tx, o) }); err != nil {
		t.Fatal(err)
	}
	all := waitForEnds(t, p, 1)
	if all[0].State != Confirmed {
		t.Errorf("it ended %s: %s", all[0].State, all[0].Reason)
	}
	if took := time.Since(began); took < lease-time.Second {
		t.Errorf("taken over after %s, while its process held it", took)
	}
}

// What another process holds cannot be moved.
func TestSaga_storesNothingWithoutItsHold(t *testing.T) {
	t.Parallel()
	address, name := dbtest.Address(t, "sqlite")
	halves := map[string]half{}
	for _, st := range steps() {
		halves[st.service] = newHalf(t, "sqlite", st, 0)
	}
	p := startProcess(t, address, name, "orders-1-a", halves)
	s := &saga{Service: p.Service, steps: steps()}
	o := Order{ID: "o-1", Key: "k", Customer: "c", Currency: money.KWD, Total: 1, Card: 1, CardToken: "card", State: Accepted, At: db.Now()}
	if err := p.DB.Write(t.Context(), func(tx db.Tx) error { return orders{p.Service, s}.insert(t.Context(), tx, o) }); err != nil {
		t.Fatal(err)
	}
	kept, err := s.store(t.Context(), place{order: o, holder: "somebody else", direction: back, step: 0}, 0)
	if err != nil || kept {
		t.Errorf("stored without the hold: %v %v", kept, err)
	}
}

func TestRequest_mustAddUp(t *testing.T) {
	t.Parallel()
	good := Request{Customer: "c-1", Currency: money.KWD, Lines: []Line{{Product: "kivu", Quantity: 2, Unit: 500}}, Credits: 300, Gift: 200, GiftCode: "g", CardToken: "card"}
	if o, sentence := good.order(); sentence != "" || o.Total != 1000 || o.Card != 500 {
		t.Fatalf("%+v: %s", o, sentence)
	}
	for name, spoil := range map[string]func(*Request){
		"more than the total":  func(r *Request) { r.Credits = 900 },
		"negative credits":     func(r *Request) { r.Credits = -1 },
		"gift without code":    func(r *Request) { r.GiftCode = "" },
		"rest without card":    func(r *Request) { r.CardToken = "" },
		"unknown currency":     func(r *Request) { r.Currency = "XXX" },
		"points":               func(r *Request) { r.Currency = money.Points },
		"no lines":             func(r *Request) { r.Lines = nil },
		"no quantity":          func(r *Request) { r.Lines[0].Quantity = 0 },
		"no price":             func(r *Request) { r.Lines[0].Unit = 0 },
		"a total out of range": func(r *Request) { r.Lines[0].Unit = 1 << 62 },
		"credits out of range": func(r *Request) { r.Credits, r.Gift = 1<<62, 1<<62 },
	} {
		bad := good
		bad.Lines = []Line{good.Lines[0]}
		spoil(&bad)
		if _, sentence := bad.order(); sentence == "" {
			t.Errorf("%s was accepted", name)
		}
	}
}

func waitForEnds(t *testing.T, p process, n int) []Order {
	t.Helper()
	for deadline := time.Now().Add(50 * time.Second); ; {
		all, err := db.All(t.Context(), p.DB.Read(), scanOrder, selectOrder)
		if err != nil {
			t.Fatal(err)
		}
		over := 0
		for _, o := range all {
			if o.State.Over() {
				over++
			}
		}
		if over == n {
			return all
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d orders are over", over, n)
		}
		<-time.After(20 * time.Millisecond)
	}
}
