package load_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"titrate/examples/collect/internal/ledger"
	"titrate/examples/collect/internal/stagetest"
	"titrate/examples/collect/load"
)

// play runs a short load against a stage, whose events are delivered meanwhile.
func play(t *testing.T, s *stagetest.Stage) *load.Report {
	t.Helper()
	r, err := load.Run(t.Context(), load.Config{URL: s.Front.URL, Rate: 300, Duration: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	s.Settle(t.Context())
	return r
}

func TestCheck_theBookIsAsItMustBe(t *testing.T) {
	t.Parallel()
	s := stagetest.New(t)
	r := play(t, s)
	if r.Failed > 0 || r.OK != r.Sent || len(r.Pickups) == 0 || r.P99 < r.P50 {
		t.Errorf("%+v", r)
	}
	v, err := load.Check(t.Context(), r, load.CheckConfig{URL: s.Front.URL, Fresh: true})
	if err != nil || !v.OK {
		t.Fatalf("%+v, %v", v, err)
	}
	if v.Pickups != len(r.Pickups) || v.Collected == 0 || v.Collected+v.Failed+v.Cancelled != v.Pickups || v.Repeated == 0 || v.Captured == 0 {
		t.Errorf("%+v", v)
	}
}

// A customer whose request fails asks again under the same key.
func TestRun_failuresAreTriedAgainUnderTheirKey(t *testing.T) {
	t.Parallel()
	s := stagetest.New(t)
	call, n := s.Call, atomic.Int64{}
	s.Call = func(ctx context.Context, folder string, event []byte) ([]byte, error) {
		answer, err := call(ctx, folder, event)
		if folder == "api/pickups/post" && n.Add(1)%3 == 0 {
			return nil, errors.New("it was done, and nobody was told")
		}
		return answer, err
	}
	r := play(t, s)
	if r.Failed == 0 || r.Twice == 0 || len(r.Failures) != r.Failed || r.Failures[0].Step != "POST /pickups" || r.Statuses[http.StatusBadGateway] != r.Failed {
		t.Errorf("%+v", r)
	}
	v, err := load.Check(t.Context(), r, load.CheckConfig{URL: s.Front.URL, Fresh: true})
	if err != nil || !v.OK || v.Pickups != len(r.Pickups)+len(r.Unsure) {
		t.Errorf("%+v, %v; %d keys have pickups, %d may", v, err, len(r.Pickups), len(r.Unsure))
	}
}

// What must not be is seen, whatever the ledger says of itself.
func TestCheck_seesWhatIsWrong(t *testing.T) {
	t.Parallel()
	accepted := ledger.Entry{Request: "key:k", Kind: ledger.Step, Pickup: "p", State: ledger.Accepted}
	quoted := ledger.Entry{Request: "p:q", Kind: ledger.Quote, Pickup: "p", State: ledger.Quoted, Amount: 10}
	ended := ledger.Entry{Request: "p:c", Kind: ledger.Step, Pickup: "p", State: ledger.Collected}
	captured := ledger.Entry{Request: "p:s", Kind: ledger.Capture, Pickup: "p", Amount: 10}
	less, wrong := captured, captured
	less.Amount = 9
	wrong.Kind = ledger.Refund
	again := ended
	again.Request = "p:c2"
	good := []ledger.Entry{accepted, quoted, ended, captured}
	sent := &load.Report{Pickups: map[string]string{"k": "p"}}
	for _, c := range []struct {
		name    string
		entries []ledger.Entry
		report  *load.Report
		says    string // "": fine
	}{
		{"good", good, sent, ""},
		{"a request twice", append(slices.Clone(good), quoted), sent, "handled twice"},
		{"two ends", []ledger.Entry{accepted, quoted, ended, again, captured}, sent, "is collected then"},
		{"no end", good[:2], sent, "has no end"},
		{"never settled", good[:3], sent, "settled 0 times"},
		{"money is missing", []ledger.Entry{accepted, quoted, ended, less}, sent, "quoted 10"},
		{"money given back for nothing", []ledger.Entry{accepted, quoted, ended, wrong}, sent, "0 were captured"},
		{"a pickup is lost", nil, sent, "but there is"},
		{"a pickup of nobody", good, &load.Report{}, "nobody sent"},
		{"an answer that nobody got", good, &load.Report{Unsure: []string{"k"}}, ""},
		{"two answers", good, &load.Report{Pickups: sent.Pickups, Doubled: []string{"k"}}, "two different"},
		{"a step too far", []ledger.Entry{accepted, {Request: "x", Kind: ledger.Step, Pickup: "p", From: []ledger.State{ledger.Held}, State: ledger.Collected}}, sent, "went from accepted"},
		{"it begins in the middle", good[1:], &load.Report{}, "begins with"},
	} {
		v, err := load.Check(t.Context(), c.report, load.CheckConfig{URL: fake(t, c.entries), Fresh: true, Patience: time.Nanosecond})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if said := strings.Join(v.Problems, "\n"); v.OK != (c.says == "") || !strings.Contains(said, c.says) {
			t.Errorf("%s: %s", c.name, said)
		}
	}
	if _, err := load.Check(t.Context(), nil, load.CheckConfig{URL: "http://127.0.0.1:1"}); err == nil {
		t.Error("a ledger that is not there was checked")
	}
}

// fake is a ledger that writes whatever it is given, and says that nothing is open.
func fake(t *testing.T, entries []ledger.Entry) string {
	t.Helper()
	entries = slices.Clone(entries)
	for i := range entries {
		entries[i].Seq = int64(i + 1)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/ledger/summary", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("{}")) })
	mux.HandleFunc("/ledger/entries", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("after") != "0" {
			w.Write([]byte(`{"entries":[]}`))
			return
		}
		b, err := json.Marshal(map[string]any{"entries": entries})
		if err != nil {
			t.Error(err)
		}
		w.Write(b)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestConfig_refusesWhatIsNone(t *testing.T) {
	t.Parallel()
	for _, c := range []load.Config{{Rate: 1}, {URL: "http://x"}, {URL: "http://x", Rate: 1, Duration: -1}} {
		if _, err := load.Run(t.Context(), c); err == nil {
			t.Errorf("%+v was played", c)
		}
	}
}
