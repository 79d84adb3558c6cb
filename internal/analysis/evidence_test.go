package analysis

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Each bet pays 1 on average at the most, or the chance of being wrong is not bounded.
func TestR27b_betsPayNothingOnAverage(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		theta := math.Ldexp(2, rapid.IntRange(0, bets-1).Draw(t, "theta"))
		n := rapid.IntRange(1, 60).Draw(t, "requests")
		limit := rapid.Float64Range(0.001, 0.6).Draw(t, "limit")
		is := limit * rapid.Float64Range(0.01, 1).Draw(t, "part of it")
		mean := 0.0
		for k := range n + 1 {
			chance := math.Exp(logBinomial(float64(n), float64(k)) + float64(k)*math.Log(is) + float64(n-k)*math.Log1p(-is))
			mean += chance * math.Exp(growth(uint64(k), uint64(n), limit, theta))
		}
		if mean > 1+1e-9 {
			t.Fatalf("against the limit it pays %v", mean)
		}

		// Of all bad requests in a window, the candidate has as many as drawn without replacement.
		m, bad := rapid.IntRange(1, 60).Draw(t, "of stable"), rapid.IntRange(1, 30).Draw(t, "bad")
		bad = min(bad, n+m)
		mean = 0
		for k := max(0, bad-m); k <= min(n, bad); k++ {
			chance := math.Exp(logBinomial(float64(n), float64(k)) + logBinomial(float64(m), float64(bad-k)) - logBinomial(float64(n+m), float64(bad)))
			p := pair{requests: uint64(n), bad: uint64(k), ofStable: uint64(m), badOfStable: uint64(bad - k)}
			mean += chance * math.Exp(againstStable(1)(p, theta))
		}
		if mean > 1+1e-9 {
			t.Fatalf("against stable it pays %v", mean)
		}

		mean = 0
		for k := range 400 {
			a, _ := math.Lgamma(float64(k) + 1)
			chance := math.Exp(float64(k)*math.Log(is) - is - a)
			mean += chance * math.Exp(growthOfCount(uint64(k), limit, theta))
		}
		if mean > 1+1e-9 {
			t.Fatalf("against a count it pays %v", mean)
		}
	})
}

func TestR27b_whatNeverHappensIsAllTheEvidence(t *testing.T) {
	t.Parallel()
	none := []pair{{k: 3, requests: 10}}
	one := []pair{{k: 3, requests: 10, bad: 1}}
	j := judgement{Alarm: mustParse("throttles", "throttles > 0")}
	if e := j.evidence(one, 0); !math.IsInf(e, 1) {
		t.Error(e)
	}
	if e := j.evidence(none, 0); e > 0 || math.IsNaN(e) {
		t.Error(e)
	}
	j = judgement{Alarm: mustParse("errors", "errors > 0%")}
	if e := j.evidence(one, 0); !math.IsInf(e, 1) {
		t.Error(e)
	}
	if e := j.evidence(nil, 0); !math.IsInf(e, -1) {
		t.Error(e) // nothing is bet on nothing
	}
}

// sixty is what stands beside an alarm in a group of sixty with three alarms each.
var sixty = Among{Tests: 180, Steps: 10}

func (p *trial) among(i int) Reading {
	return JudgeAmong(sixty, p.a, p.candidate, p.stable, p.baseline, at(i))
}

func TestR27_whatIsPlainlyBrokenTripsInTime(t *testing.T) {
	t.Parallel()
	// Half of 20 requests fail, as many as the alarm needs at all; stable has more of them.
	p := try(t, "errors > 1% for 1m")
	for i := 0; i < 60; i += 10 {
		p.did(i, i+1, window(4, 2)).stableDid(i, i+1, window(36, 0))
		p.did(i+1, i+10, window(0, 0)).stableDid(i+1, i+10, window(0, 0))
	}
	if r := p.among(60); r.Verdict != Fail || r.Text != "errors was 50 % for 1 min, limit 1 %" {
		t.Errorf("%+v", r)
	}
	// So it does with all traffic, where there is no stable version to compare with.
	p.stable = nil
	if r := p.among(60); r.Verdict != Fail {
		t.Errorf("%+v", r)
	}
}

func TestR27_aSmallBreachIsChanceAmongMany(t *testing.T) {
	t.Parallel()
	p := try(t, "errors > 1% for 5s min 5")
	p.did(0, 1, window(10, 1))
	p.says(1, Inconclusive, "errors was 10 % for 1 s, limit 1 %; 1 of the 3 failed requests it takes to tell")
	if r := p.among(1); r.Verdict != Pass || r.Text != "errors was 10 % for 1 s, limit 1 %; 1 of the 3 failed requests it takes to tell; among 180 alarms that is chance" {
		t.Errorf("%+v", r)
	}
	p.did(1, 2, window(10, 2)) // one in 1,000 times: it holds
	p.says(2, Inconclusive, "errors was 15 % for 2 s, limit 1 %; trips after 5 s")
	if r := p.among(2); r != Judge(p.a, p.candidate, p.stable, nil, at(2)) {
		t.Errorf("%+v", r)
	}
	p.did(2, 5, window(40, 1))
	p.says(5, Fail, "errors was 4.29 % for 5 s, limit 1 %")
	if r := p.among(5); r.Verdict != Inconclusive || r.Text != "errors was 4.29 % for 5 s, limit 1 %; it may be chance among 180 alarms" {
		t.Errorf("%+v", r)
	}
}

func TestR27_whatStableDoesTooIsNotTheCandidates(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"timeouts > 2 for 5s", "oom > 2 for 5s", "throttles > 2 for 5s"} {
		happens := func(n uint64) Window {
			w := window(30, 0)
			w.Timeouts, w.OOM, w.Throttles = n, n, n
			return w
		}
		p := try(t, text)
		p.did(0, 5, happens(1)).stableDid(0, 5, happens(1))
		if r := p.among(5); r.Verdict != Inconclusive {
			t.Errorf("%s, as stable: %+v", text, r)
		}
		p = try(t, text)
		p.did(0, 5, happens(5)).stableDid(0, 5, window(300, 0))
		if r := p.among(5); r.Verdict != Fail {
			t.Errorf("%s: %+v", text, r)
		}
	}
	// One throttled call is one too many, however many alarms there are.
	p := try(t, "throttles > 0 for 5s")
	w := window(0, 0)
	w.Throttles = 1
	if r := p.did(0, 1, w).among(1); r.Verdict != Fail {
		t.Errorf("%+v", r)
	}
}

func TestR27_aRelativeAlarmAmongManyComparesItsFactor(t *testing.T) {
	t.Parallel()
	for bad, want := range map[uint64]Verdict{4: Pass, 7: Inconclusive, 40: Fail} {
		p := try(t, "errors > 2x stable for 5s")
		p.did(0, 5, window(100, bad)).stableDid(0, 5, window(100, 3))
		if r := p.among(5); r.Verdict != want {
			t.Errorf("%d: %+v", bad, r)
		}
		// Without stable's traffic, its frozen baseline is what it is compared with.
		p.stable = nil
		frozen := window(1000, 30)
		p.baseline = &Baseline{frozen}
		if r := p.among(5); r.Verdict != want {
			t.Errorf("%d, against the baseline: %+v", bad, r)
		}
	}
}

func TestR27_aVersionThatGoesBadLateIsFound(t *testing.T) {
	t.Parallel()
	p := try(t, "errors > 1% for 30s")
	p.did(0, 900, window(2, 0)).did(900, 930, window(2, 1))
	if r := p.among(930); r.Verdict != Fail {
		t.Errorf("after a quarter of an hour: %+v", r)
	}
}

func TestR27_moreMembersOnlyAskForMore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := shortAlarms().Draw(t, "alarm")
		candidate, stable := traffic().Draw(t, "candidate"), traffic().Draw(t, "stable")
		now := at(len(candidate))
		judge := func(tests int) Reading {
			return JudgeAmong(Among{Tests: tests, Steps: 3}, a, play(a, arrival, at(0), candidate), play(a, arrival, at(0), stable), nil, now)
		}
		alone := Judge(a, play(a, arrival, at(0), candidate), play(a, arrival, at(0), stable), nil, now)
		if one := judge(1); one != alone {
			t.Fatalf("one alarm: %+v, not %+v", one, alone)
		}
		few, many := judge(2), judge(500)
		switch {
		case many.Verdict == Fail && few.Verdict != Fail:
			t.Fatalf("few %+v, many %+v", few, many)
		case alone.Verdict == Pass && few.Verdict == Inconclusive, alone.Verdict == "" && few.Verdict != "":
			t.Fatalf("alone %+v, among others %+v", alone, few)
		case few.Verdict == Fail && few.Value <= few.Limit && !a.Below && few.Breaching > 0:
			t.Fatalf("failed within the limit: %+v", few)
		case few.Verdict == Fail && a.Metric.unit() == ratio && few.Bad < minBad:
			t.Fatalf("R11: %+v", few)
		}
	})
}

func BenchmarkJudgeAmong(b *testing.B) {
	a := mustParse("errors", "errors > 1% for 1m")
	s := NewSeries([]Alarm{a})
	s.Begin(at(0))
	for i := range 1200 {
		w := window(5, uint64(i%50/49))
		w.Start = at(i)
		s.Add(w)
	}
	now := at(1200).Add(-time.Second)
	b.ReportAllocs()
	for b.Loop() {
		JudgeAmong(sixty, a, s, s, nil, now)
	}
}
