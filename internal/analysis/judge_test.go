package analysis

import (
	"math"
	"testing"
	"time"
)

// arrival is when the weight arrived in these tests: between two seconds, as in
// life.
var arrival = time.Date(2026, 11, 22, 12, 0, 0, 400e6, time.UTC)

// at returns the start of the i-th second that counts.
func at(i int) time.Time { return arrival.Truncate(time.Second).Add(time.Duration(i+1) * time.Second) }

// trial plays windows to an alarm.
type trial struct {
	t                 *testing.T
	a                 Alarm
	candidate, stable *Series
	baseline          *Baseline
}

func try(t *testing.T, text string) *trial {
	t.Helper()
	a, err := ParseAlarm("alarm", text)
	if err != nil {
		t.Fatal(err)
	}
	p := &trial{t: t, a: a, candidate: NewSeries([]Alarm{a}), stable: NewSeries([]Alarm{a})}
	p.candidate.Begin(arrival)
	p.stable.Begin(arrival)
	return p
}

// window is a second of requests of which some failed.
func window(requests, failed uint64) Window {
	w := Window{Length: time.Second, Requests: requests, Failed: failed}
	w.Status[5] = failed
	w.Status[2] = requests - failed
	return w
}

// slow is a second of requests with their latencies.
func slow(counts map[time.Duration]uint64) Window {
	w := Window{Length: time.Second}
	for d, n := range counts {
		w.Latency.Add(Bucket(d), n)
		w.Requests += n
	}
	w.Status[2] = w.Requests
	return w
}

// seconds puts w into each second from to until.
func (p *trial) seconds(s *Series, from, until int, w Window) *trial {
	for i := from; i < until; i++ {
		w.Start = at(i)
		s.Add(w)
	}
	return p
}

func (p *trial) did(from, until int, w Window) *trial {
	return p.seconds(p.candidate, from, until, w)
}

func (p *trial) stableDid(from, until int, w Window) *trial {
	return p.seconds(p.stable, from, until, w)
}

func (p *trial) judge(second int) Reading {
	return Judge(p.a, p.candidate, p.stable, p.baseline, at(second))
}

// says checks the verdict when the second has begun, and the sentence.
func (p *trial) says(second int, v Verdict, text string) Reading {
	p.t.Helper()
	r := p.judge(second)
	if r.Verdict != v {
		p.t.Errorf("%s at second %d: %q, want %q: %+v", p.a, second, r.Verdict, v, r)
	}
	if r.Text != text {
		p.t.Errorf("%s at second %d says\n  %s\nwant\n  %s", p.a, second, r.Text, text)
	}
	return r
}

func TestR27a_tripsWhenAllPeriodsBreach(t *testing.T) {
	t.Parallel()
	p := try(t, "5xx > 1% for 2s")
	p.says(0, "", "5xx: the first 1 s have not passed")
	p.did(0, 1, window(50, 4)).says(1, Inconclusive, "5xx was 8 % for 1 s, limit 1 %; trips after 2 s")
	r := p.did(1, 2, window(126, 10)).says(2, Fail, "5xx was 7.95 % for 2 s, limit 1 %")
	if r.Alarm != "alarm" || r.Reaction != ReactRollback || r.Value != 14.0/176 || r.Limit != 0.01 || r.Requests != 176 ||
		r.Bad != 14 || r.Min != 20 || r.Breaching != 2 || r.M != 2 || r.N != 2 || !r.Since.Equal(at(0)) || !r.Closed.Equal(at(2)) {
		t.Errorf("evidence: %+v", r)
	}
}

func TestR27a_passesAndRecovers(t *testing.T) {
	t.Parallel()
	p := try(t, "errors > 1% for 3s")
	p.did(0, 3, window(50, 0)).says(3, Pass, "errors was 0 % over 3 s, limit 1 %")
	p.did(3, 4, window(50, 25)).says(4, Inconclusive, "errors was 50 % for 1 s, limit 1 %; trips after 3 s")
	p.did(4, 5, window(50, 0)).says(5, Pass, "errors was 16.7 % over 3 s, limit 1 %")
	r := p.did(5, 6, window(50, 25)).says(6, Inconclusive, "errors was 50 % for 2 s, limit 1 %; trips after 3 s")
	if r.Breaching != 2 || !r.Since.Equal(at(3)) {
		t.Errorf("%+v", r)
	}
}

func TestR27a_MOfN(t *testing.T) {
	t.Parallel()
	p := try(t, "5xx > 1% in 3 of 5 for 5s")
	p.did(0, 1, window(20, 2)).did(1, 2, window(1000, 0)).did(2, 3, window(20, 2)).did(3, 4, window(1000, 0))
	p.says(4, Inconclusive, "5xx was 10 % in 2 of 5 periods of 1 s, limit 1 %; trips at 3")
	r := p.did(4, 5, window(20, 2)).says(5, Fail, "5xx was 10 % in 3 of 5 periods of 1 s, limit 1 %")
	if r.Requests != 2060 || r.Bad != 6 {
		t.Errorf("the evidence is that of the whole window: %+v", r)
	}
	p.did(5, 6, window(1000, 0)).says(6, Inconclusive, "5xx was 10 % in 2 of 5 periods of 1 s, limit 1 %; trips at 3")
	p.did(6, 8, window(1000, 0)).says(8, Pass, "5xx was 0.0498 % over 5 s, limit 1 %")
}

func TestR27a_periodsOfTenSeconds(t *testing.T) {
	t.Parallel()
	p := try(t, "5xx > 1%")
	p.did(0, 9, window(10, 1)).says(9, "", "5xx: the first 10 s have not passed")
	p.did(9, 10, window(10, 1)).says(10, Inconclusive, "5xx was 10 % for 10 s, limit 1 %; trips after 1 min")
	p.did(10, 59, window(10, 1)).says(59, Inconclusive, "5xx was 10 % for 50 s, limit 1 %; trips after 1 min")
	p.did(59, 60, window(10, 1)).says(60, Fail, "5xx was 10 % for 1 min, limit 1 %")
}

func TestR11_tooFewRequestsAreNoData(t *testing.T) {
	t.Parallel()
	p := try(t, "5xx > 1% for 2s min 20")
	p.did(0, 1, window(12, 12)).says(1, NoData, "12 of 20 requests in 2 s")
	p.did(1, 2, window(7, 7)).says(2, NoData, "19 of 20 requests in 2 s")
	p.did(2, 3, window(13, 13)).says(3, Fail, "5xx was 100 % for 2 s, limit 1 %")
	p = try(t, "5xx > 1% for 2s min 20")
	p.did(0, 1, window(13, 13)).did(1, 4, window(0, 0)).says(4, NoData, "13 of 20 requests in 2 s")
}

func TestR11_aRatioNeedsThreeBadRequests(t *testing.T) {
	t.Parallel()
	p := try(t, "5xx > 1% for 2s")
	p.did(0, 2, window(20, 1)).says(2, Inconclusive, "5xx was 5 % for 2 s, limit 1 %; 2 of the 3 failed requests it takes to tell")
	p.did(2, 3, window(20, 2)).says(3, Fail, "5xx was 7.5 % for 2 s, limit 1 %")
}

func TestR11_aQuantileNeedsTenSlowRequests(t *testing.T) {
	t.Parallel()
	p := try(t, "p99 > 800ms for 2s")
	p.did(0, 2, slow(map[time.Duration]uint64{10 * time.Millisecond: 20, time.Second: 4}))
	r := p.says(2, Inconclusive, "p99 was 1 s for 2 s, limit 800 ms; 8 of the 10 slow requests it takes to tell")
	if r.Bad != 8 || r.Requests != 48 {
		t.Errorf("%+v", r)
	}
	p.did(2, 3, slow(map[time.Duration]uint64{10 * time.Millisecond: 20, time.Second: 6})).says(3, Fail, "p99 was 1 s for 2 s, limit 800 ms")
}

func TestR11_aVersionThatIsSlowThroughoutTripsWithLittleTraffic(t *testing.T) {
	t.Parallel()
	p := try(t, "p99 > 800ms for 2s")
	p.did(0, 2, slow(map[time.Duration]uint64{2 * time.Second: 10})).says(2, Fail, "p99 was 2 s for 2 s, limit 800 ms")
}

func TestR27a_aQuantileAtItsLimitPasses(t *testing.T) {
	t.Parallel()
	p := try(t, "p99 > 800ms for 2s")
	// The same bucket as the limit: cannot be told apart from it.
	low, _ := BucketBounds(Bucket(800 * time.Millisecond))
	p.did(0, 2, slow(map[time.Duration]uint64{low: 100}))
	if r := p.judge(2); r.Verdict != Pass || r.Value > r.Limit || r.Bad != 0 {
		t.Errorf("%+v", r)
	}
	// 1 of 100 is not beyond the 99th percentile; 2 of 100 are.
	p = try(t, "p99 > 800ms for 2s")
	p.did(0, 2, slow(map[time.Duration]uint64{time.Millisecond: 990, time.Second: 10}))
	if r := p.judge(2); r.Verdict != Pass {
		t.Errorf("1 %% slow: %+v", r)
	}
	p.did(2, 4, slow(map[time.Duration]uint64{time.Millisecond: 989, time.Second: 11}))
	if r := p.judge(4); r.Verdict != Fail {
		t.Errorf("1.1 %% slow: %+v", r)
	}
}

func TestR27a_aPeriodWithoutRequestsIsMissing(t *testing.T) {
	t.Parallel()
	p := try(t, "p99 > 800ms for 2s")
	p.did(0, 1, slow(map[time.Duration]uint64{time.Second: 15})).did(1, 2, window(0, 0)).did(2, 3, slow(map[time.Duration]uint64{2 * time.Second: 5}))
	p.says(3, Fail, "p99 was 2 s for 2 s, limit 800 ms")
	p = try(t, "5xx > 1% for 2s")
	p.did(0, 1, window(15, 15)).did(1, 2, window(0, 0)).did(2, 3, window(5, 5)).says(3, Fail, "5xx was 100 % for 2 s, limit 1 %")
}

func TestR11_relativeAlarmsCompareWithStableInTheSameWindows(t *testing.T) {
	t.Parallel()
	p := try(t, "p99 > 1.5x stable for 2s")
	p.stableDid(0, 2, slow(map[time.Duration]uint64{20 * time.Millisecond: 500}))
	p.did(0, 2, slow(map[time.Duration]uint64{25 * time.Millisecond: 20}))
	r := p.says(2, Pass, "p99 was 25 ms over 2 s, limit 30.1 ms (1.5x stable's 20.1 ms)")
	if !r.StableKnown || math.Abs(r.Stable-0.02) > 0.0002 || r.Limit != 1.5*r.Stable {
		t.Errorf("%+v", r)
	}
	p.stableDid(2, 4, slow(map[time.Duration]uint64{40 * time.Millisecond: 500}))
	p.did(2, 4, slow(map[time.Duration]uint64{61 * time.Millisecond: 20}))
	p.says(4, Fail, "p99 was 61.1 ms for 2 s, limit 60.2 ms (1.5x stable's 40.1 ms)")
}

func TestR11_relativeAlarmsUseTheBaselineWhereStableHasTooFew(t *testing.T) {
	t.Parallel()
	p := try(t, "p99 > 2x stable for 2s")
	p.stableDid(0, 2, slow(map[time.Duration]uint64{time.Second: 499})) // 998 of the 1000 that a p99 needs
	p.did(0, 2, slow(map[time.Duration]uint64{30 * time.Millisecond: 20}))
	r := p.says(2, "", "p99 has nothing to compare with: stable had 998 of 1000 requests")
	if !r.Abstains {
		t.Errorf("%+v", r)
	}
	p.baseline = &Baseline{slow(map[time.Duration]uint64{10 * time.Millisecond: 999})}
	if r := p.judge(2); !r.Abstains || r.Verdict != "" {
		t.Errorf("with 999 requests in the baseline: %+v", r)
	}
	p.baseline = &Baseline{slow(map[time.Duration]uint64{10 * time.Millisecond: 1000})}
	if r := p.says(2, Fail, "p99 was 30 ms for 2 s, limit 20.1 ms (2x stable's 10 ms)"); r.Abstains || !r.StableKnown {
		t.Errorf("%+v", r)
	}
	p.stableDid(2, 4, slow(map[time.Duration]uint64{time.Second: 500}))
	p.did(2, 4, slow(map[time.Duration]uint64{30 * time.Millisecond: 20}))
	p.says(4, Pass, "p99 was 30 ms over 2 s, limit 2 s (2x stable's 1 s)")
}

func TestR11_relativeAlarmsAbstainWithoutAnything(t *testing.T) {
	t.Parallel()
	p := try(t, "memory > 2x stable for 1s")
	p.stable = nil
	p.did(0, 1, Window{Length: time.Second, Memory: 1 << 20})
	if r := p.says(1, "", "memory has nothing to compare with: stable was not measured"); !r.Abstains {
		t.Errorf("%+v", r)
	}
	p.baseline = &Baseline{}
	p.a.Metric = Errors
	if r := p.judge(1); !r.Abstains {
		t.Errorf("an empty baseline: %+v", r)
	}
}

// TestR11_anIdleStableIsNoMeasureOfMemory has a bake: the candidate has all
// traffic, and stable is compared by what it used when it had some.
func TestR11_anIdleStableIsNoMeasureOfMemory(t *testing.T) {
	t.Parallel()
	p := try(t, "memory > 2x stable for 2s")
	p.stableDid(0, 2, Window{Length: time.Second, Memory: 10 << 20})
	p.did(0, 2, Window{Length: time.Second, Requests: 1000, Memory: 90 << 20})
	if r := p.judge(2); r.Verdict != Fail {
		t.Errorf("a worker's stable, which never has requests: %+v", r)
	}
	p.baseline = &Baseline{Window{Length: time.Second, Requests: 5000, Memory: 80 << 20}}
	if r := p.judge(2); r.Verdict != Pass || r.Stable != 80<<20 {
		t.Errorf("stable had 80 MiB when it worked: %+v", r)
	}
	p.stableDid(2, 4, Window{Length: time.Second, Requests: 10, Memory: 20 << 20})
	p.did(2, 4, Window{Length: time.Second, Requests: 1000, Memory: 90 << 20})
	if r := p.judge(4); r.Verdict != Fail || r.Stable != 20<<20 {
		t.Errorf("a stable that works is compared in the same windows: %+v", r)
	}
}

func TestR11_aRatioOfAFaultlessStableIsNotZero(t *testing.T) {
	t.Parallel()
	p := try(t, "5xx > 2x stable for 2s")
	p.stableDid(0, 2, window(100, 0))
	p.did(0, 2, window(200, 2))
	// 0 of 200 may be 1 of 200: the limit is 1 %, not 0 %.
	r := p.says(2, Pass, "5xx was 1 % over 2 s, limit 1 % (2x stable's 0 %)")
	if r.Limit != 0.01 || r.Stable != 0 {
		t.Errorf("%+v", r)
	}
	p.stableDid(2, 4, window(100, 2))
	p.did(2, 4, window(200, 9))
	p.says(4, Fail, "5xx was 4.5 % for 2 s, limit 4 % (2x stable's 2 %)")
}

func TestR13_onlyWindowsThatOpenedAfterTheArrivalCount(t *testing.T) {
	t.Parallel()
	p := try(t, "5xx > 1% for 1s")
	p.did(-5, 0, window(100, 100)) // the one at -1 straddles the arrival
	if r := p.judge(0); r.Verdict != "" || r.Requests != 0 {
		t.Errorf("%+v", r)
	}
	p.did(0, 1, window(100, 0)).says(1, Pass, "5xx was 0 % over 1 s, limit 1 %")
}

func TestR13_anArrivalOnAWholeSecondCountsFromThere(t *testing.T) {
	t.Parallel()
	p := try(t, "5xx > 1% for 1s")
	p.candidate.Begin(at(0))
	p.did(0, 1, window(100, 0)).says(1, Pass, "5xx was 0 % over 1 s, limit 1 %")
}

func TestR13_anotherArrivalBeginsAnew(t *testing.T) {
	t.Parallel()
	p := try(t, "5xx > 1% for 2s")
	p.did(0, 2, window(100, 100))
	p.candidate.Begin(arrival)
	p.says(2, Fail, "5xx was 100 % for 2 s, limit 1 %")
	p.candidate.Begin(at(2))
	p.says(2, "", "5xx: the first 1 s have not passed")
	p.did(2, 4, window(100, 0)).says(4, Pass, "5xx was 0 % over 2 s, limit 1 %")
}

func TestR13_aSeriesThatHasNotBegunCountsNothing(t *testing.T) {
	t.Parallel()
	a := mustParse("alarm", "5xx > 1%")
	s := NewSeries([]Alarm{a})
	s.Add(window(100, 100))
	if len(s.grid(a.Period).points) != 0 {
		t.Error("it counted")
	}
	a.Missing = MissingBreaching
	if r := Judge(a, s, nil, nil, at(1000)); r.Verdict != "" {
		t.Errorf("%+v", r)
	}
	if other := s.grid(time.Hour).points; other != nil {
		t.Errorf("a period nobody asked for has %v", other)
	}
}

func TestR13_theVerdictComesWithTheWindowNotWithTheClock(t *testing.T) {
	t.Parallel()
	p := try(t, "5xx > 1% for 1s missing breaching")
	p.did(0, 1, window(100, 0))
	// The second second has passed, but its window is still on its way.
	if r := p.judge(2); r.Verdict != Pass || !r.Closed.Equal(at(1)) {
		t.Errorf("%+v", r)
	}
	// With the window the verdict is there, whatever the clock says.
	p.did(1, 2, window(100, 100))
	if r := Judge(p.a, p.candidate, nil, nil, at(0)); r.Verdict != Fail || !r.Closed.Equal(at(2)) {
		t.Errorf("%+v", r)
	}
}

func TestR13_aWindowTwoSecondsLateWasNotMeasured(t *testing.T) {
	t.Parallel()
	p := try(t, "cpu > 50% for 1s missing breaching")
	p.did(0, 1, Window{Length: time.Second, CPU: 0.1, CPULimit: 1})
	before := Judge(p.a, p.candidate, nil, nil, at(6).Add(-time.Nanosecond))
	if before.Verdict != Pass || !before.Closed.Equal(at(3)) {
		t.Errorf("%+v", before)
	}
	p.says(6, Fail, "cpu was not measured for 1 s, and missing data counts as a breach")
}

func TestR13_whatWasBeforeTheFirstKnownWindowIsNotMissing(t *testing.T) {
	t.Parallel()
	// The server was started anew a minute after the arrival.
	p := try(t, "cpu > 50% for 3s missing breaching")
	p.says(60, NoData, "cpu was not measured for 3 s")
	p.did(60, 61, Window{Length: time.Second, CPU: 0.9, CPULimit: 1})
	p.says(61, Inconclusive, "cpu was 90 % for 1 s, limit 50 %; trips after 3 s")
	p.did(61, 63, Window{Length: time.Second, CPU: 0.1, CPULimit: 1})
	p.says(63, Pass, "cpu was 36.7 % over 3 s, limit 50 %")
	p.says(67, Pass, "cpu was 36.7 % over 3 s, limit 50 %")
	p.says(68, Inconclusive, "cpu was not measured for 3 s, and missing data counts as a breach; trips after 3 s")
}

func TestR13_aShortGapIsNeitherHoldNorZero(t *testing.T) {
	t.Parallel()
	p := try(t, "rps < 5 for 20s")
	p.did(0, 8, window(6, 0)).did(10, 20, window(6, 0)) // a gateway restarted for two seconds
	p.says(20, Pass, "rps was 6/s over 20 s, limit 5/s")
	p = try(t, "5xx > 1% for 20s")
	p.did(0, 10, window(6, 0)).did(20, 30, window(6, 0)) // for ten
	p.says(30, Pass, "5xx was 0 % over 20 s, limit 1 %")
}

func TestR27a_missingDataIsTreatedAsWritten(t *testing.T) {
	t.Parallel()
	quiet := Window{Length: time.Second, CPU: 0.1, CPULimit: 1}
	for treatment, want := range map[Missing]Verdict{
		MissingMissing: NoData, MissingIgnore: Pass, MissingBreaching: Fail, MissingNotBreaching: Pass,
	} {
		p := try(t, "cpu > 50% for 3s missing "+string(treatment))
		p.did(0, 3, quiet)
		if r := p.judge(10); r.Verdict != want {
			t.Errorf("%s: %+v, want %s", treatment, r, want)
		}
	}
	p := try(t, "cpu > 50% for 3s missing ignore")
	if r := p.judge(10); r.Verdict != NoData || r.Text != "cpu was not measured for 3 s" {
		t.Errorf("never measured: %+v", r)
	}
	p = try(t, "5xx > 1% for 3s missing ignore")
	p.did(0, 1, window(0, 0)).says(1, NoData, "0 of 20 requests in 3 s")
	p = try(t, "cpu > 50% for 3s missing ignore")
	p.did(0, 3, quiet)
	if r := p.judge(12); r.Verdict != Pass {
		t.Errorf("measured less long ago than two evaluation windows: %+v", r)
	}
	if r := p.judge(13); r.Verdict != NoData {
		t.Errorf("measured longer ago than two evaluation windows: %+v", r)
	}
}

func TestR27a_ignoreKeepsAnAlarm(t *testing.T) {
	t.Parallel()
	p := try(t, "cpu > 50% for 3s missing ignore")
	p.did(0, 3, Window{Length: time.Second, CPU: 0.9, CPULimit: 1})
	if r := p.judge(10); r.Verdict != Fail || !r.Closed.Equal(at(5)) {
		t.Errorf("%+v", r)
	}
}

func TestR11_missingDataThatBreachesNeedsRequestsAllTheSame(t *testing.T) {
	t.Parallel()
	p := try(t, "5xx > 1% for 3s missing breaching")
	p.did(0, 3, window(0, 0)).says(3, NoData, "0 of 20 requests in 3 s")
	p = try(t, "5xx > 1% for 3s missing breaching")
	p.did(0, 1, window(30, 3)).says(5, Fail, "5xx was 10 % for 1 s, limit 1 %")
}

func TestR27a_metricsAreWhatTheySay(t *testing.T) {
	t.Parallel()
	w := Window{Length: time.Second, Requests: 100, Failed: 12, CPU: 1.5, CPULimit: 2, Memory: 300 << 20, MemoryLimit: 400 << 20, Restarts: 1}
	w.Status = [6]uint64{0, 0, 70, 0, 20, 10}
	for text, want := range map[string]struct {
		value float64
		bad   uint64
		v     Verdict
		text  string
	}{
		"errors > 11% for 2s":   {0.12, 24, Fail, "errors was 12 % for 2 s, limit 11 %"},
		"5xx > 11% for 2s":      {0.10, 20, Pass, "5xx was 10 % over 2 s, limit 11 %"},
		"4xx > 11% for 2s":      {0.20, 40, Fail, "4xx was 20 % for 2 s, limit 11 %"},
		"4xx > 20% for 2s":      {0.20, 40, Pass, "4xx was 20 % over 2 s, limit 20 %"},
		"rps > 99 for 2s":       {100, 0, Fail, "rps was 100/s for 2 s, limit 99/s"},
		"rps > 100 for 2s":      {100, 0, Pass, "rps was 100/s over 2 s, limit 100/s"},
		"rps < 101 for 2s":      {100, 0, Fail, "rps was 100/s for 2 s, limit 101/s"},
		"rps < 100 for 2s":      {100, 0, Pass, "rps was 100/s over 2 s, limit 100/s"},
		"cpu > 70% for 2s":      {0.75, 0, Fail, "cpu was 75 % for 2 s, limit 70 %"},
		"cpu < 80% for 2s":      {0.75, 0, Fail, "cpu was 75 % for 2 s, limit 80 %"},
		"cpu > 75% for 2s":      {0.75, 0, Pass, "cpu was 75 % over 2 s, limit 75 %"},
		"memory > 74.9% for 2s": {0.75, 0, Fail, "memory was 75 % for 2 s, limit 74.9 %"},
		"memory > 75% for 2s":   {0.75, 0, Pass, "memory was 75 % over 2 s, limit 75 %"},
		"restarts > 1 for 2s":   {2, 0, Fail, "2 restarts in 2 s, limit 1"},
		"restarts > 2 for 2s":   {2, 0, Pass, "restarts was 2 over 2 s, limit 2"},
	} {
		p := try(t, text)
		r := p.did(0, 2, w).says(2, want.v, want.text)
		if math.Abs(r.Value-want.value) > 1e-9 || r.Bad != want.bad || r.Requests != 200 {
			t.Errorf("%s: %+v", text, r)
		}
	}
}

func TestR27a_resourcesNeedNoRequests(t *testing.T) {
	t.Parallel()
	w := Window{Length: time.Second, CPU: 0.9, Memory: 100 << 20}
	try(t, "cpu > 80% for 2s").did(0, 2, w).says(2, Fail, "cpu was 90 % for 2 s, limit 80 %") // no limit: one core
	if r := try(t, "memory > 80% for 2s").did(0, 2, w).says(2, "", "memory has no limit to be measured against"); !r.Abstains {
		t.Errorf("%+v", r)
	}
	p := try(t, "memory > 1.5x stable for 2s").did(0, 2, w)
	p.stableDid(0, 2, Window{Length: time.Second, Memory: 50 << 20})
	p.says(2, Fail, "memory was 100 MiB for 2 s, limit 75 MiB (1.5x stable's 50 MiB)")
	try(t, "rps < 1 for 2s").did(0, 2, window(0, 0)).says(2, Fail, "rps was 0/s for 2 s, limit 1/s")
}

func TestR27a_restartsAreSummedOverTheWindow(t *testing.T) {
	t.Parallel()
	p := try(t, "restarts > 2 for 30s")
	once := Window{Length: time.Second, Restarts: 1}
	none := Window{Length: time.Second}
	p.did(0, 1, once).did(1, 10, none).says(10, Pass, "restarts was 1 over 30 s, limit 2")
	p.did(10, 12, once).did(12, 20, none).says(20, Fail, "3 restarts in 30 s, limit 2")
	p.did(20, 40, none).says(40, Pass, "restarts was 2 over 30 s, limit 2")
}

func TestR27a_stableIsShownBesideAnAbsoluteLimit(t *testing.T) {
	t.Parallel()
	p := try(t, "5xx > 1% for 2s")
	p.did(0, 2, window(100, 50))
	if r := p.judge(2); r.StableKnown || r.Stable != 0 {
		t.Errorf("without stable: %+v", r)
	}
	p.stableDid(0, 1, window(0, 0))
	if r := p.judge(2); r.StableKnown {
		t.Errorf("without requests: %+v", r)
	}
	p.stableDid(1, 2, window(100, 1)).stableDid(2, 3, window(100, 100))
	if r := p.judge(2); !r.StableKnown || r.Stable != 0.01 {
		t.Errorf("in the same windows: %+v", r)
	}
}

func TestSeries_leavesOutRepetitions(t *testing.T) {
	t.Parallel()
	p := try(t, "rps > 1000")
	p.did(0, 9, window(7, 0)).did(9, 10, Window{Requests: 5}).did(9, 10, window(7, 0))
	p.did(0, 10, window(7, 0)).did(9, 10, window(7, 0))
	if r := p.judge(10); r.Requests != 70 {
		t.Errorf("%+v", r)
	}
}

// Not parallel: it counts allocations.
func TestSeries_memoryIsBounded(t *testing.T) {
	alarms := []Alarm{mustParse("a", "p99 > 1s for 1s"), mustParse("a", "p99 > 1s for 2s"), mustParse("b", "p99 > 1s"), mustParse("c", "5xx > 1% for 30s"), mustParse("d", "cpu > 90% for 2m missing ignore")}
	s := NewSeries(alarms)
	s.Begin(at(0))
	w := busy(at(0))
	for range 5000 {
		s.Add(w)
		w.Start = w.End()
		for _, g := range s.grids {
			if elapsed := int(w.Start.Sub(at(0))+g.period-1) / int(g.period); len(g.points) != min(elapsed, g.keep) {
				t.Fatalf("%d points of %v after %v", len(g.points), g.period, w.Start.Sub(at(0)))
			}
		}
	}
	if len(s.grids) != 2 {
		t.Fatalf("%d grids, want one a period", len(s.grids))
	}
	for i, want := range []int{2 + 2, 12 + 12 + 2} {
		if g := s.grids[i]; len(g.points) != want {
			t.Errorf("period %v keeps %d points, want %d", g.period, len(g.points), want)
		}
	}
	for i, p := range s.grids[1].points {
		if p.k != 500-26+i || p.w.Requests != 500 || p.w.Latency.Total() != 500 || p.w.Length != 10*time.Second || !p.w.Start.Equal(at(10*p.k)) {
			t.Errorf("period %d is %+v", i, p)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		s.Add(w)
		w.Start = w.End()
	}); n != 0 {
		t.Errorf("adding allocates %v times", n)
	}
}

func TestRecent_keepsFiveToTenMinutes(t *testing.T) {
	t.Parallel()
	var r Recent
	if r.Baseline() != nil {
		t.Error("a baseline of nothing")
	}
	for i := range 299 {
		w := window(1, 0)
		w.Start = at(i)
		r.Add(w)
	}
	if b := r.Baseline(); b.Requests != 299 || !b.Start.Equal(at(0)) || b.Length != 299*time.Second {
		t.Errorf("after 299 s: %+v", b)
	}
	for i := 299; i < 1000; i++ {
		w := window(1, 0)
		w.Start = at(i)
		r.Add(w)
	}
	b := r.Baseline()
	if b.Requests != 400 || !b.Start.Equal(at(600)) {
		t.Errorf("after 1000 s: %d requests from %v", b.Requests, b.Start)
	}
	w := slow(map[time.Duration]uint64{time.Second: 5})
	w.Start = at(1000)
	r.Add(w)
	if b.Requests != 400 || b.Latency.Total() != 0 {
		t.Errorf("the frozen baseline moved: %+v", b)
	}
}

func TestWindow_mergeAddsUp(t *testing.T) {
	t.Parallel()
	a := Window{Start: at(1), Length: time.Second, Requests: 1, Status: [6]uint64{1, 2, 3, 4, 5, 6}, Failed: 1, Aborted: 1, CPU: 1, CPULimit: 2, Memory: 5, MemoryLimit: 7, Restarts: 1}
	b := Window{Start: at(0), Length: time.Second, Requests: 2, Status: [6]uint64{1, 1, 1, 1, 1, 1}, Failed: 2, Aborted: 2, CPU: 3, CPULimit: 4, Memory: 4, MemoryLimit: 9, Restarts: 2}
	b.Latency.Add(3, 4)
	a.Merge(b)
	if !a.Start.Equal(at(0)) || a.Length != 2*time.Second || a.Requests != 3 || a.Status != [6]uint64{2, 3, 4, 5, 6, 7} || a.Failed != 3 || a.Aborted != 3 ||
		a.CPU != 4 || a.CPULimit != 6 || a.Memory != 5 || a.MemoryLimit != 9 || a.Restarts != 3 || a.Latency.Total() != 4 || !a.End().Equal(at(2)) {
		t.Errorf("%+v", a)
	}
}
