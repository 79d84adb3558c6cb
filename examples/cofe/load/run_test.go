package load_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"titrate/examples/cofe/load"
)

// stub is a store that answers everything; before says what it does first.
func stub(t *testing.T, before func(w http.ResponseWriter, r *http.Request) (answered bool)) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Titrate-Version", "v1")
		if before != nil && before(w, r) {
			return
		}
		if r.URL.Path == "/checkout" {
			w.WriteHeader(http.StatusCreated)
		}
		w.Write([]byte(`{"id":"o-` + r.Header.Get("Idempotency-Key") + `","state":"confirmed"}`))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestRun_arrivesAtTheRateWhateverTheAnswersTake(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	ids := map[string]bool{}
	url := stub(t, func(_ http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if id := r.Header.Get("X-Request-Id"); ids[id] || id == "" {
			t.Errorf("request id %q is not its own", id)
		}
		ids[r.Header.Get("X-Request-Id")] = true
		return false
	})
	var seconds []load.Stats
	r, err := load.Run(t.Context(), load.Config{URL: url, Rate: 300, Duration: 2200 * time.Millisecond, OnSecond: func(s load.Stats) { seconds = append(seconds, s) }})
	if err != nil {
		t.Fatal(err)
	}
	// A Poisson count of mean 660: five standard deviations, and the clicks that
	// are sent twice.
	if want := 660.0; math.Abs(float64(r.Sent)-want) > 5*math.Sqrt(want)+20 {
		t.Errorf("%d requests, want about %.0f", r.Sent, want)
	}
	if r.OK != r.Sent || r.Failed != 0 || len(ids) != r.Sent || r.Versions["v1"].OK != r.OK || r.Journeys == 0 {
		t.Errorf("report %+v", r)
	}
	sent, ok := 0, 0 // in the seconds that were told of; a busy machine may answer little in one
	for _, s := range seconds {
		sent, ok = sent+s.Sent, ok+s.Versions["v1"].OK
	}
	if len(seconds) < 2 || sent == 0 || ok == 0 {
		t.Errorf("seconds %+v", seconds)
	}
}

// A stall of a second is felt by everybody who was due in it, not by the one
// request that met it.
func TestRun_measuresFromWhenARequestWasDue(t *testing.T) {
	t.Parallel()
	var start time.Time // of the first request
	var first sync.Once
	stalled := make(chan struct{})
	url := stub(t, func(http.ResponseWriter, *http.Request) bool {
		first.Do(func() {
			start = time.Now()
			time.AfterFunc(1500*time.Millisecond, func() { close(stalled) })
		})
		if time.Since(start) > 300*time.Millisecond {
			<-stalled
		}
		return false
	})
	r, err := load.Run(t.Context(), load.Config{URL: url, Rate: 100, Duration: 2 * time.Second, Concurrency: 4})
	if err != nil {
		t.Fatal(err)
	}
	if r.P90 < 500*time.Millisecond || r.Max < time.Second || r.Late == 0 {
		t.Errorf("p90 %s, max %s, %d late: a stall of 1.2 s in 2 s was left out", r.P90, r.Max, r.Late)
	}
}

func TestRun_recordsEveryFailure(t *testing.T) {
	t.Parallel()
	url := stub(t, func(w http.ResponseWriter, r *http.Request) bool {
		switch r.URL.Path {
		case "/":
			w.WriteHeader(http.StatusInternalServerError)
			return true
		case "/products":
			panic(http.ErrAbortHandler)
		}
		return false
	})
	r, err := load.Run(t.Context(), load.Config{URL: url, Rate: 200, Duration: 2500 * time.Millisecond, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	if r.Failed == 0 || r.NoAnswer == 0 || r.NoAnswer >= r.Failed || len(r.Failures) != r.Failed || r.Statuses[500] != r.Failed-r.NoAnswer {
		t.Errorf("%d failed, %d without an answer, %d listed, statuses %v", r.Failed, r.NoAnswer, len(r.Failures), r.Statuses)
	}
	for _, f := range r.Failures {
		if f.ID == "" || f.Step == "" || (f.Status == 0) == (f.Err == "") {
			t.Errorf("failure %+v", f)
		}
	}
}

func TestRun_noticesTwoOrdersOfOneKey(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithTimeout(t.Context(), 40*time.Second)
	defer stop()
	var mu sync.Mutex
	seen := map[string]int{}
	url := stub(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/checkout" {
			return false
		}
		key := r.Header.Get("Idempotency-Key")
		mu.Lock()
		defer mu.Unlock()
		if seen[key]++; seen[key] == 2 {
			stop()
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"id":"o-%d","state":"confirmed"}`, seen[key])
		return true
	})
	r, err := load.Run(ctx, load.Config{URL: url, Rate: 300})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Doubled) == 0 {
		t.Error("a customer who clicked twice got two orders, and nobody noticed")
	}
}

func TestConfig_namesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []load.Config{{}, {URL: "x"}, {URL: "x", Rate: -1}, {URL: "x", Rate: 1, Duration: -1}} {
		if _, err := load.Run(t.Context(), c); err == nil {
			t.Errorf("%+v was run", c)
		}
	}
}
