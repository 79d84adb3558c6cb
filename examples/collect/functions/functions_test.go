package functions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"titrate/examples/collect/functions"
	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
	"titrate/examples/collect/internal/stagetest"
)

func ask(t *testing.T, s *stagetest.Stage, method, path, key, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.Front.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(said)
}

// pickup asks for one and returns its id.
func pickup(t *testing.T, s *stagetest.Stage, key, item, card string) string {
	t.Helper()
	body := fmt.Sprintf(`{"customer":"c-1","item":%q,"area":"salmiya","card":%q}`, item, card)
	status, said := ask(t, s, http.MethodPost, "/pickups", key, body)
	var p struct{ ID string }
	if status != http.StatusAccepted || json.Unmarshal([]byte(said), &p) != nil || p.ID == "" {
		t.Fatalf("%s: %d %s", key, status, said)
	}
	return p.ID
}

func TestAll_areSixtyFourOfFourKinds(t *testing.T) {
	t.Parallel()
	all := functions.All(&app.App{})
	kinds := map[string]int{}
	for folder := range all {
		kind, _, _ := strings.Cut(folder, "/")
		kinds[kind]++
	}
	if want := map[string]int{"api": 15, "one": 1, "timers": 32, "on": 9, "notify": 7}; len(all) != 64 || !maps.Equal(kinds, want) {
		t.Errorf("%d functions: %v", len(all), kinds)
	}
}

func TestFind_byFolderAndByName(t *testing.T) {
	t.Parallel()
	all := functions.All(&app.App{})
	for _, c := range [][2]string{{"on/give-up", ""}, {"bootstrap", "on-give-up"}, {"", "timers-monthly-driver-pay"}} {
		if _, ok := functions.Find(all, c[0], c[1]); !ok {
			t.Errorf("not found: %q", c)
		}
	}
	if _, ok := functions.Find(all, "bootstrap", "nothing"); ok {
		t.Error("a function that is none was found")
	}
}

// Every event comes at least once, some twice, and in any order: each pickup has one end,
// and its money is settled once.
func TestFlow_everyPickupHasOneEndAndItsMoneyAddsUp(t *testing.T) {
	t.Parallel()
	s := stagetest.New(t)
	items := app.Items()
	ids := map[string]bool{}
	for i := range 60 {
		card := app.Pays
		if i%10 == 0 {
			card = app.Declined
		}
		key := fmt.Sprintf("key-%d", i)
		id := pickup(t, s, key, items[i%len(items)], card)
		ids[id] = true
		if i%7 == 0 && pickup(t, s, key, items[i%len(items)], card) != id {
			t.Errorf("%s has two pickups", key)
		}
		if i%9 == 0 {
			if status, said := ask(t, s, http.MethodPost, "/cancellations", "", `{"pickup":"`+id+`"}`); status != http.StatusOK {
				t.Errorf("cancel: %d %s", status, said)
			}
		}
	}
	if failed := s.Settle(t.Context()); len(failed) > 0 {
		t.Errorf("%d deliveries failed: %v", len(failed), failed[0])
	}
	sum := s.Summary()
	if len(ids) != 60 || sum.Pickups != 60 {
		t.Errorf("%d ids, %d pickups", len(ids), sum.Pickups)
	}
	if sum.Repeated == 0 {
		t.Error("nothing came twice: the test tests less than it says")
	}
	ends := map[ledger.State]int{}
	for _, p := range s.Find(ledger.Query{Limit: 100}) {
		ends[p.State]++
		if !p.State.Over() || p.Ends != 1 || !p.Settled || p.Quoted != p.Captured+p.Refunded+p.Lapsed {
			t.Errorf("%+v", p)
		}
		if (p.State == ledger.Collected) != (p.Captured > 0) {
			t.Errorf("%s is %s, and %d were captured", p.ID, p.State, p.Captured)
		}
	}
	if ends[ledger.Collected] == 0 || ends[ledger.Cancelled] == 0 {
		t.Errorf("ends: %v", ends)
	}
	if sum.Told["email"] != 60 || sum.Told["sms"] != 60 || sum.Told["dashboard"] != 60 || sum.Told["receipt"] != sum.Told["accounting"] {
		t.Errorf("told: %v", sum.Told)
	}
	if sum.Kinds[ledger.Delivery] != ends[ledger.Collected] || sum.Told["facility"] != ends[ledger.Collected] {
		t.Errorf("%d deliveries, %d told, of %v", sum.Kinds[ledger.Delivery], sum.Told["facility"], ends)
	}
}

// A customer may cancel what was cancelled for another reason already.
func TestFlow_cancelledTwiceForTwoReasons(t *testing.T) {
	t.Parallel()
	s := stagetest.New(t)
	id := pickup(t, s, "key", "sofa", app.Declined)
	if failed := s.Settle(t.Context()); len(failed) > 0 {
		t.Fatal(failed)
	}
	if status, said := ask(t, s, http.MethodPost, "/cancellations", "", `{"pickup":"`+id+`"}`); status != http.StatusOK || !strings.Contains(said, "cancelled") {
		t.Errorf("%d %s", status, said)
	}
	if failed := s.Settle(t.Context()); len(failed) > 0 {
		t.Error(failed)
	}
	if p, err := s.Store.Pickup(id); err != nil || p.Note["why"] != "the card was declined" || p.Lapsed != p.Quoted {
		t.Errorf("%+v, %v", p, err)
	}
}

// What a queue gave up comes to its end all the same; what nobody can read does not come
// back for ever.
func TestFlow_deadLettersEnd(t *testing.T) {
	t.Parallel()
	s := stagetest.New(t)
	id := pickup(t, s, "key", "sofa", app.Pays)
	call := s.Call
	s.Call = func(ctx context.Context, folder string, event []byte) ([]byte, error) {
		if folder == "on/schedule" {
			return nil, errors.New("the calendar is away")
		}
		return call(ctx, folder, event)
	}
	s.Send("quotes", "not JSON")
	s.Send("quotes", `{"pickup":"p-unknown"}`)
	if failed := s.Settle(t.Context()); len(failed) == 0 {
		t.Error("nothing failed")
	}
	p, err := s.Store.Pickup(id)
	if err != nil || p.State != ledger.Failed || p.Refunded != p.Quoted || p.Quoted == 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

// A function that died between the ledger and the queue is made up for by a timer.
func TestFlow_whatWaitsForNobodyIsQueuedAgain(t *testing.T) {
	t.Parallel()
	s := stagetest.New(t)
	ctx := t.Context()
	note := map[string]string{"item": "sofa", "card": app.Pays, "area": "salmiya"}
	if _, _, _, err := s.Store.Append(ctx, ledger.Entry{Request: "key:1", Kind: ledger.Step, Pickup: "p-1", State: ledger.Accepted, Note: note}); err != nil {
		t.Fatal(err)
	}
	tick := stagetest.Tick(time.Now())
	if _, err := s.Call(ctx, "timers/minute/requeue-accepted", tick); err != nil {
		t.Fatal(err)
	}
	if s.Settle(ctx); s.Summary().States[ledger.Accepted] != 1 {
		t.Error("it was queued again at once")
	}
	s.App.Now = func() time.Time { return time.Now().Add(2 * time.Minute) }
	if _, err := s.Call(ctx, "timers/minute/requeue-accepted", tick); err != nil {
		t.Fatal(err)
	}
	s.Settle(ctx)
	if p, err := s.Store.Pickup("p-1"); err != nil || p.State != ledger.Collected || p.Captured != p.Quoted {
		t.Errorf("%+v, %v", p, err)
	}
}

// A timer that fires twice for the same time reports once.
func TestTimers_reportOnce(t *testing.T) {
	t.Parallel()
	s := stagetest.New(t)
	ctx, at := t.Context(), time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	pickup(t, s, "key", "sofa", app.Pays)
	all := slices.Collect(maps.Keys(functions.All(s.App)))
	slices.Sort(all)
	for _, folder := range all {
		if !strings.HasPrefix(folder, "timers/") {
			continue
		}
		for range 2 {
			if _, err := s.Call(ctx, folder, stagetest.Tick(at)); err != nil {
				t.Errorf("%s: %v", folder, err)
			}
		}
	}
	for name, n := range s.Summary().Reports {
		if n != 1 {
			t.Errorf("%s was reported %d times", name, n)
		}
	}
	if n := len(s.Summary().Reports); n != 24 {
		t.Errorf("%d reports", n)
	}
	if _, err := s.Call(ctx, "timers/nightly/close-day", []byte(`{}`)); err == nil {
		t.Error("a timer without a time was done")
	}
}

func TestHTTP_answers(t *testing.T) {
	t.Parallel()
	s := stagetest.New(t)
	id := pickup(t, s, "key-1", "sofa", app.Pays)
	if failed := s.Settle(t.Context()); len(failed) > 0 {
		t.Fatal(failed)
	}
	order := `{"customer":"c-1","item":"sofa","area":"salmiya","card":"4242424242424242"}`
	for _, c := range []struct {
		method, path, key, body string
		status                  int
		says                    string
	}{
		{"GET", "/pickups/" + id, "", "", 200, `"state":"`},
		{"GET", "/pickups/p-none", "", "", 404, "no pickup"},
		{"GET", "/pickups?customer=c-1", "", "", 200, id},
		{"GET", "/pickups", "", "", 400, "customer"},
		{"POST", "/pickups", "", order, 400, "Idempotency-Key"},
		{"POST", "/pickups", "key-1", order, 202, id},
		{"POST", "/pickups", "key-1", strings.Replace(order, "sofa", "desk", 1), 422, "another request"},
		{"POST", "/pickups", "key-2", `{`, 400, "body"},
		{"POST", "/pickups", "key-2", strings.Replace(order, "sofa", "cat", 1), 422, "prices"},
		{"POST", "/cancellations", "", `{"pickup":"` + id + `"}`, 200, "collected"},
		{"POST", "/cancellations", "", `{"pickup":"p-none"}`, 404, "no pickup"},
		{"POST", "/cancellations", "", `{}`, 400, "which"},
		{"POST", "/quotes", "", `{"items":["sofa","desk"]}`, 200, "17.000 KWD"},
		{"POST", "/quotes", "", `{"items":["cat"]}`, 422, "not taken"},
		{"GET", "/quotes?pickup=" + id, "", "", 200, "12.500 KWD"},
		{"GET", "/quotes?pickup=p-none", "", "", 404, "quote"},
		{"GET", "/prices", "", "", 200, "12.500 KWD"},
		{"GET", "/slots", "", "", 200, "08-10"},
		{"GET", "/drivers", "", "", 200, "amal"},
		{"GET", "/drivers/route?driver=amal", "", "", 200, "stops"},
		{"GET", "/facilities", "", "", 200, "subhan"},
		{"GET", "/facilities/inventory", "", "", 200, "deliveries"},
		{"GET", "/payments", "", "", 200, `"capture":12500`},
		{"GET", "/reports", "", "", 200, "{}"},
		{"GET", "/reports/latest?name=intake", "", "", 404, "no report"},
		{"GET", "/summary", "", "", 200, `"edition":"1"`},
	} {
		if status, said := ask(t, s, c.method, c.path, c.key, c.body); status != c.status || !strings.Contains(said, c.says) {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, said)
		}
	}
}

// A probe asks whether a function could work, and does nothing.
func TestProbe_hasNoEffect(t *testing.T) {
	t.Parallel()
	s := stagetest.New(t)
	for folder := range functions.All(s.App) {
		if said, err := s.Call(t.Context(), folder, []byte(`{"probe":true}`)); err != nil || !strings.Contains(string(said), "able") {
			t.Errorf("%s: %s, %v", folder, said, err)
		}
	}
	if n := s.Summary().Entries; n != 0 {
		t.Errorf("%d entries", n)
	}
	s.Ledger.Close()
	if _, err := s.Call(t.Context(), "on/quote", []byte(`{"probe":true}`)); err == nil || !strings.Contains(err.Error(), "ledger") {
		t.Errorf("without a ledger: %v", err)
	}
}
