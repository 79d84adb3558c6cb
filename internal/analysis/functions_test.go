package analysis

import (
	"testing"
	"time"
)

// idle is a second in which a function was measured, and not called.
func idle(change func(*Window)) Window {
	w := window(0, 0)
	change(&w)
	return w
}

func TestR11_countsOfFunctionsNeedNoRequests(t *testing.T) {
	t.Parallel()
	for text, c := range map[string]struct {
		w    Window
		says string
	}{
		"timeouts > 2 for 5s":  {idle(func(w *Window) { w.Timeouts = 1 }), "3 timeouts in 5 s, limit 2"},
		"oom > 0 for 5s":       {idle(func(w *Window) { w.OOM = 1 }), "3 kills for memory in 5 s, limit 0"},
		"throttles > 2 for 5s": {idle(func(w *Window) { w.Throttles = 1 }), "3 throttled calls in 5 s, limit 2"},
	} {
		p := try(t, text)
		p.did(0, 1, idle(func(*Window) {}))
		quiet := map[Metric]string{Timeouts: "timeouts", OOM: "kills for memory", Throttles: "throttles"}[p.a.Metric]
		p.says(1, Pass, quiet+" was 0 over 5 s, limit "+number(p.a.Limit, 1)) // measured, and there was none
		p.did(1, 4, c.w).says(4, Fail, c.says)
	}
	p := try(t, "throttles > 0 for 2s")
	p.did(0, 1, idle(func(w *Window) { w.Throttles = 1 })).says(1, Fail, "1 throttled call in 2 s, limit 0")
	p = try(t, "timeouts > 2 for 5s")
	p.says(30, NoData, "timeouts was not measured for 5 s") // nothing is known of it
}

func TestR11_coldStartsAreARatioOfRequests(t *testing.T) {
	t.Parallel()
	cold := func(requests, n uint64) Window {
		w := window(requests, 0)
		w.ColdStarts = n
		return w
	}
	p := try(t, "cold_starts > 20% for 2s")
	p.did(0, 2, cold(0, 0)).says(2, NoData, "0 of 20 requests in 2 s") // no calls are no data
	p.did(2, 4, cold(40, 10)).says(4, Fail, "share of cold starts was 25 % for 2 s, limit 20 %")
	p = try(t, "cold_starts > 20% for 2s")
	p.did(0, 2, cold(40, 8)).says(2, Pass, "share of cold starts was 20 % over 2 s, limit 20 %")
	p = try(t, "cold_starts > 0.1% for 2s")
	p.did(0, 2, cold(200, 1)).says(2, Inconclusive, "share of cold starts was 0.5 % for 2 s, limit 0.1 %; 2 of the 3 cold requests it takes to tell")

	p = try(t, "cold_starts > 2x stable for 2s")
	p.stableDid(0, 2, cold(100, 5)).did(0, 2, cold(100, 11))
	p.says(2, Fail, "share of cold starts was 11 % for 2 s, limit 10 % (2x stable's 5 %)")
}

func TestR27a_theQueuesAgeIsADuration(t *testing.T) {
	t.Parallel()
	old := func(d time.Duration) Window { return idle(func(w *Window) { w.QueueAge = d }) }
	p := try(t, "queue > 5m for 2s")
	p.did(0, 1, old(0)).says(1, Pass, "queue age was 0 s over 2 s, limit 5 min")
	p.did(1, 2, old(450*time.Second)).says(2, Inconclusive, "queue age was 7 min 30 s for 1 s, limit 5 min; trips after 2 s")
	p.did(2, 3, old(5*time.Minute+time.Second)).says(3, Fail, "queue age was 7 min 30 s for 2 s, limit 5 min") // the oldest in the window
	p.did(3, 4, old(5*time.Minute)).says(4, Pass, "queue age was 5 min 1 s over 2 s, limit 5 min")
	if p.a.Metric.OfRequests() || p.a.Min != 0 {
		t.Errorf("%+v", p.a)
	}
}

func TestR11_fewCallsThatFailHoldAFunction(t *testing.T) {
	t.Parallel()
	p := try(t, "errors > 1% for 1m")
	for i, failed := range []uint64{1, 0, 1, 0} { // a call in a minute
		p.did(60*i, 60*i+1, window(1, failed)).did(60*i+1, 60*i+60, window(0, 0))
	}
	p.says(240, NoData, "1 of 20 requests in 1 min") // which holds a service
	for tests, want := range map[int]Verdict{0: Inconclusive, 180: Inconclusive, 10_000: NoData} {
		if r := JudgeAmong(Among{Tests: tests, Silent: true}, p.a, p.candidate, nil, nil, at(240)); r.Verdict != want {
			t.Errorf("among %d: %+v", tests, r)
		}
	}
	r := JudgeAmong(Among{Silent: true}, p.a, p.candidate, nil, nil, at(240))
	if r.Text != "errors was 50 % of 4 requests in 4 min, limit 1 %; 2 of the 3 failed requests it takes to tell" {
		t.Error(r.Text)
	}
	p = try(t, "errors > 1% for 1m")
	p.did(0, 1, window(1, 0)).did(1, 60, window(0, 0))
	if r := JudgeAmong(Among{Silent: true}, p.a, p.candidate, nil, nil, at(60)); r.Verdict != NoData {
		t.Errorf("%+v", r)
	}
}

func TestMetrics_ofFunctions(t *testing.T) {
	t.Parallel()
	of, requests := map[Metric]bool{Timeouts: true, OOM: true, Throttles: true, ColdStarts: true, QueueAge: true}, 0
	for _, m := range Metrics() {
		if m.OfFunctions() != of[m] {
			t.Errorf("%s: %t", m, m.OfFunctions())
		}
		if of[m] && m.OfRequests() {
			requests++
		}
	}
	if requests != 1 || !ColdStarts.OfRequests() {
		t.Error("cold starts alone are of requests")
	}
}
