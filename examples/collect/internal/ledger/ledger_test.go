package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"titrate/examples/collect/internal/ledger"
)

func open(t *testing.T, dir string) *ledger.Store {
	t.Helper()
	s, err := ledger.OpenStore(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func sums(t *testing.T, s *ledger.Store) ledger.Summary {
	t.Helper()
	sum, err := s.Summary()
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func accept(id string) ledger.Entry {
	return ledger.Entry{Request: "key:" + id, Kind: ledger.Step, Pickup: id, State: ledger.Accepted}
}

func step(id string, from, to ledger.State) ledger.Entry {
	return ledger.Entry{Request: id + ":" + string(to), Kind: ledger.Step, Pickup: id, From: []ledger.State{from}, State: to}
}

func TestStore_eachRequestOnce(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, t.TempDir()), t.Context()
	first, _, again, err := s.Append(ctx, accept("p"))
	if err != nil || again || first.Seq != 1 {
		t.Fatalf("%+v, %v, %v", first, again, err)
	}
	second, _, again, err := s.Append(ctx, accept("p"))
	if err != nil || !again || second.Seq != 1 || !second.At.Equal(first.At) {
		t.Errorf("%+v, %v, %v", second, again, err)
	}
	other := accept("p")
	other.Amount = 1
	if _, _, _, err := s.Append(ctx, other); !errors.Is(err, ledger.ErrOther) {
		t.Errorf("something else under the same request: %v", err)
	}
	if sum := sums(t, s); sum.Entries != 1 || sum.Repeated != 1 {
		t.Errorf("%+v", sum)
	}
}

func TestStore_statesAreFollowedAndEndsAreKept(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, t.TempDir()), t.Context()
	for _, c := range []struct {
		e    ledger.Entry
		want error
	}{
		{step("p", ledger.Accepted, ledger.Quoted), ledger.ErrUnknown},
		{accept("p"), nil},
		{step("p", ledger.Quoted, ledger.Held), ledger.ErrState},
		{step("p", ledger.Accepted, ledger.Quoted), nil},
		{step("p", ledger.Quoted, ledger.Cancelled), nil},
		{ledger.Entry{Request: "x", Kind: ledger.Step, Pickup: "p", State: ledger.Failed}, ledger.ErrState},
		{ledger.Entry{Request: "r", Kind: ledger.Refund, Pickup: "p", Amount: 5}, nil},
		{ledger.Entry{Request: "s", Kind: ledger.Capture, Pickup: "p", Amount: 5}, ledger.ErrState},
		{ledger.Entry{Request: "n", Kind: ledger.Notice, Amount: -1}, ledger.ErrInvalid},
		{ledger.Entry{Kind: ledger.Notice}, ledger.ErrInvalid},
		{ledger.Entry{Request: "q", Kind: ledger.Step, State: ledger.Accepted}, ledger.ErrInvalid},
	} {
		if _, _, _, err := s.Append(ctx, c.e); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.e, err, c.want)
		}
	}
	if p, err := s.Pickup("p"); err != nil || p.State != ledger.Cancelled || p.Ends != 1 || p.Refunded != 5 {
		t.Errorf("%+v, %v", p, err)
	}
}

// What was answered is there after a crash; half a line was answered to nobody.
func TestStore_keepsWhatItAnswered(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, ctx := open(t, dir), t.Context()
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			if _, _, _, err := s.Append(ctx, accept(fmt.Sprintf("p-%d", i%150))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	// As kill -9 leaves it: the store is not closed, and its last write is cut off.
	file := filepath.Join(dir, "ledger.jsonl")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	after := t.TempDir()
	if err := os.WriteFile(filepath.Join(after, "ledger.jsonl"), append(text, `{"seq":151,"reque`...), 0o600); err != nil {
		t.Fatal(err)
	}
	again := open(t, after)
	if sum := sums(t, again); sum.Entries != 150 || sum.Pickups != 150 || sum.States[ledger.Accepted] != 150 {
		t.Errorf("%+v", sum)
	}
	if e, _, _, err := again.Append(ctx, accept("p-new")); err != nil || e.Seq != 151 {
		t.Errorf("%+v, %v", e, err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if sum := sums(t, open(t, after)); sum.Entries != 151 {
		t.Errorf("%d entries after the cut", sum.Entries)
	}
	if _, _, _, err := again.Append(ctx, accept("p-late")); !errors.Is(err, ledger.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestStore_refusesAFileThatIsNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ledger.jsonl"), []byte("not JSON\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.OpenStore(dir, time.Now); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("%v", err)
	}
}

func TestHandler_andClient(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	server := httptest.NewServer(ledger.Handler(s, slog.New(slog.DiscardHandler)))
	defer server.Close()
	c, ctx := ledger.Client{URL: server.URL + "/", HTTP: server.Client()}, t.Context()
	e := accept("p")
	e.Note = map[string]string{"customer": "c-1"}
	for _, again := range []bool{false, true} {
		if a, err := c.Append(ctx, e); err != nil || a.Again != again || a.Pickup.State != ledger.Accepted {
			t.Errorf("%+v, %v", a, err)
		}
	}
	a, err := c.Append(ctx, step("p", ledger.Held, ledger.Scheduled))
	if !errors.Is(err, ledger.ErrState) || a.Pickup.State != ledger.Accepted {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := c.Append(ctx, step("q", ledger.Held, ledger.Scheduled)); !errors.Is(err, ledger.ErrUnknown) {
		t.Error(err)
	}
	if _, err := c.Append(ctx, ledger.Entry{Request: "key:p", Kind: ledger.Notice}); !errors.Is(err, ledger.ErrOther) {
		t.Error(err)
	}
	if _, err := c.Append(ctx, ledger.Entry{}); !errors.Is(err, ledger.ErrInvalid) {
		t.Error(err)
	}
	if _, err := c.Pickup(ctx, "q"); !errors.Is(err, ledger.ErrUnknown) {
		t.Error(err)
	}
	for _, q := range []ledger.Query{{Customer: "c-1"}, {State: ledger.Accepted, Before: time.Now().Add(time.Hour), Limit: 1}} {
		if all, err := c.Find(ctx, q); err != nil || len(all) != 1 || all[0].ID != "p" {
			t.Errorf("%+v: %+v, %v", q, all, err)
		}
	}
	for _, q := range []ledger.Query{{Customer: "c-2"}, {State: ledger.Held}, {Unsettled: true}, {Before: time.Now().Add(-time.Hour)}} {
		if all, err := c.Find(ctx, q); err != nil || len(all) != 0 {
			t.Errorf("%+v: %+v, %v", q, all, err)
		}
	}
	if all, err := c.Entries(ctx, 0); err != nil || len(all) != 1 || all[0].Request != "key:p" {
		t.Errorf("%+v, %v", all, err)
	}
	if all, err := c.Entries(ctx, 1); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	if sum, err := c.Summary(ctx); err != nil || sum.Pickups != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	for path, want := range map[string]int{"/ledger/healthz": 200, "/ledger/pickups?before=x": 400, "/ledger/nothing": 404} {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

// A caller who leaves is not answered, and its entry is kept all the same.
func TestStore_whoLeavesMayAskAgain(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	ctx, leave := context.WithCancel(t.Context())
	leave()
	_, _, _, err := s.Append(ctx, accept("p"))
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, _, _, err := s.Append(t.Context(), accept("p")); err != nil {
		t.Error(err)
	}
	if n := sums(t, s).Entries; n != 1 {
		t.Errorf("%d entries", n)
	}
}

// Two versions of the service have the file open during a release: each sees what the
// other wrote, and no request is written by both.
func TestStore_twoProcessesShareTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stores := []*ledger.Store{open(t, dir), open(t, dir)}
	var all sync.WaitGroup
	for i := range 200 {
		for _, s := range stores {
			all.Go(func() {
				if _, _, _, err := s.Append(t.Context(), accept(fmt.Sprintf("p-%d", i))); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	for _, s := range append(stores, open(t, dir)) {
		page, err := s.Entries(0, 1000)
		if err != nil || len(page) != 200 {
			t.Fatalf("%d entries, %v", len(page), err)
		}
		for i, e := range page {
			if e.Seq != int64(i+1) {
				t.Fatalf("entry %d has the number %d", i+1, e.Seq)
			}
		}
	}
	if n := sums(t, stores[0]).Repeated + sums(t, stores[1]).Repeated; n != 200 {
		t.Errorf("%d came again", n)
	}
}
