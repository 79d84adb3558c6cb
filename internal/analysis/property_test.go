package analysis

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// seconds of traffic, some of them missing: nil.
func traffic() *rapid.Generator[[]*Window] {
	second := rapid.Custom(func(t *rapid.T) *Window {
		if rapid.IntRange(0, 9).Draw(t, "measured") == 0 {
			return nil
		}
		w := Window{Length: time.Second, CPU: rapid.Float64Range(0, 2).Draw(t, "cpu"), CPULimit: 2, MemoryLimit: 100}
		w.Requests = rapid.Uint64Range(0, 30).Draw(t, "requests")
		if rapid.Bool().Draw(t, "bad") {
			w.Failed = rapid.Uint64Range(0, w.Requests).Draw(t, "failed")
		}
		w.Status[5], w.Status[2] = w.Failed, w.Requests-w.Failed
		if w.Requests > 0 {
			w.Latency.Add(Bucket(latencies().Draw(t, "latency")), w.Requests)
		}
		w.Memory = rapid.Uint64Range(0, 100).Draw(t, "memory")
		w.Restarts = rapid.Uint64Range(0, 1).Draw(t, "restarts")
		w.Timeouts = rapid.Uint64Range(0, w.Failed).Draw(t, "timeouts")
		w.OOM = w.Failed - w.Timeouts
		w.Throttles = rapid.Uint64Range(0, 2).Draw(t, "throttles") / 2
		w.ColdStarts = rapid.Uint64Range(0, w.Requests).Draw(t, "cold starts")
		w.QueueAge = time.Duration(rapid.IntRange(0, 400).Draw(t, "queue age")) * time.Second
		return &w
	})
	return rapid.SliceOfN(second, 1, 50)
}

// play fills a series with what happened from the first second on.
func play(a Alarm, from time.Time, first time.Time, ws []*Window) *Series {
	s := NewSeries([]Alarm{a})
	s.Begin(from)
	for i, w := range ws {
		if w != nil {
			v := *w
			v.Start = first.Add(time.Duration(i) * time.Second)
			s.Add(v)
		}
	}
	return s
}

// shortAlarms draws alarms that a minute of traffic can trip.
func shortAlarms() *rapid.Generator[Alarm] {
	return rapid.Custom(func(t *rapid.T) Alarm {
		a := alarms().Draw(t, "alarm")
		a.N = rapid.IntRange(1, 6).Draw(t, "n")
		a.M = rapid.IntRange(1, a.N).Draw(t, "m")
		a.Period = rapid.SampledFrom([]time.Duration{time.Second, 2 * time.Second, 10 * time.Second}).Draw(t, "period")
		return a
	})
}

func TestR27a_judgingIsDeterministicAndSane(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := shortAlarms().Draw(t, "alarm")
		candidate, stable := traffic().Draw(t, "candidate"), traffic().Draw(t, "stable")
		now := at(len(candidate) + rapid.IntRange(-3, 20).Draw(t, "later"))
		judge := func() Reading {
			return Judge(a, play(a, arrival, at(0), candidate), play(a, arrival, at(0), stable), nil, now)
		}
		r := judge()
		if d := cmp.Diff(r, judge()); d != "" {
			t.Fatalf("another answer at once:\n%s", d)
		}
		switch {
		case r.Abstains && r.Verdict != "":
			t.Fatalf("abstains and has a verdict: %+v", r)
		case r.Text == "":
			t.Fatalf("says nothing: %+v", r)
		case math.IsNaN(r.Value+r.Limit+r.Stable) || math.IsInf(r.Value+r.Limit+r.Stable, 0):
			t.Fatalf("numbers that JSON cannot hold: %+v", r)
		case r.Verdict == Fail && a.Metric.unit() == ratio && r.Bad < 3:
			t.Fatalf("R11: failed with %d bad requests: %+v", r.Bad, r)
		case r.Verdict == Fail && a.Metric.unit() == latency && r.Bad < 10:
			t.Fatalf("R11: failed with %d slow requests: %+v", r.Bad, r)
		case r.Verdict != "" && r.Verdict != NoData && a.Metric.OfRequests() && r.Requests < uint64(a.Min):
			t.Fatalf("R11: %s on %d requests: %+v", r.Verdict, r.Requests, r)
		case r.Verdict == Fail && a.Missing != MissingBreaching && r.Breaching == 0:
			t.Fatalf("failed without a breach: %+v", r)
		case r.Verdict == Fail && r.Breaching > 0 && !a.Below && r.Value <= r.Limit,
			r.Verdict == Fail && r.Breaching > 0 && a.Below && r.Value >= r.Limit:
			t.Fatalf("failed within the limit: %+v", r)
		case !r.Since.IsZero() && (r.Since.Before(arrival) || !r.Since.Before(r.Closed)):
			t.Fatalf("since %v, closed %v", r.Since, r.Closed)
		}
	})
}

func TestR13_noVerdictComesFromBeforeTheArrival(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := shortAlarms().Draw(t, "alarm")
		before, after := traffic().Draw(t, "before"), traffic().Draw(t, "after")
		whole := append(append([]*Window{}, before...), after...)
		first := at(0).Add(-time.Duration(len(before)) * time.Second)
		now := at(len(after))
		with := Judge(a, play(a, arrival, first, whole), nil, nil, now)
		without := Judge(a, play(a, arrival, at(0), after), nil, nil, now)
		if d := cmp.Diff(without, with); d != "" {
			t.Fatalf("what happened before changed the answer:\n%s", d)
		}
	})
}

func TestR27a_anAlarmThatTripsHasHeldOnTheWay(t *testing.T) {
	t.Parallel()
	// Whoever looks each second never sees a pass in the M−1 periods before an
	// alarm trips without gaps: a breach under way is inconclusive.
	rapid.Check(t, func(t *rapid.T) {
		a := mustParse("alarm", "5xx > 1% for 4s min 1")
		s := NewSeries([]Alarm{a})
		s.Begin(at(0))
		var seen []Verdict
		for i := range rapid.IntRange(4, 30).Draw(t, "seconds") {
			w := window(20, rapid.Uint64Range(0, 1).Draw(t, "failed")*5)
			w.Start = at(i)
			s.Add(w)
			seen = append(seen, Judge(a, s, nil, nil, at(i+1)).Verdict)
		}
		for i, v := range seen {
			if v == Fail {
				for back := max(0, i-3); back < i; back++ {
					if seen[back] == Pass {
						t.Fatalf("%v: passed at %d, failed at %d", seen, back, i)
					}
				}
			}
		}
	})
}

func TestDuration_isWrittenForPeople(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{time.Second: "1 s", time.Minute: "1 min", 90 * time.Second: "1 min 30 s", time.Hour: "1 h", 3661 * time.Second: "1 h 1 min 1 s"} {
		if got := duration(d); got != want {
			t.Errorf("%v is written %q, want %q", d, got, want)
		}
	}
}

func TestNumber_hasNoExponentAndNoNoise(t *testing.T) {
	t.Parallel()
	for x, want := range map[float64]string{0: "0", 1: "1", 7.954545: "7.95", 0.0211111: "0.0211", 123456: "123456", 100: "100", 0.5: "0.5", 10.04: "10", 999.6: "1000", 0.00001: "0.00001"} {
		if got := number(x, 3); got != want {
			t.Errorf("%v is written %q, want %q", x, got, want)
		}
	}
}

func TestReading_tellsTheValueFromTheLimit(t *testing.T) {
	t.Parallel()
	p := try(t, "5xx > 1% for 1s")
	p.did(0, 1, window(100000, 1001)).says(1, Fail, "5xx was 1.001 % for 1 s, limit 1 %")
	p = try(t, "5xx > 1% for 1s")
	p.did(0, 1, window(1000000, 10000)).says(1, Pass, "5xx was 1 % over 1 s, limit 1 %")
	p = try(t, "p50 > 500us for 1s")
	p.did(0, 1, slow(map[time.Duration]uint64{100 * time.Microsecond: 50})).says(1, Pass, "p50 was 99.8 µs over 1 s, limit 500 µs")
}

func TestReading_changesUnitsAtTheirBounds(t *testing.T) {
	t.Parallel()
	w := slow(map[time.Duration]uint64{100 * time.Microsecond: 50})
	try(t, "p50 > 1ms for 1s").did(0, 1, w).says(1, Pass, "p50 was 99.8 µs over 1 s, limit 1 ms")
	try(t, "p50 > 1s for 1s").did(0, 1, w).says(1, Pass, "p50 was 99.8 µs over 1 s, limit 1 s")
}
