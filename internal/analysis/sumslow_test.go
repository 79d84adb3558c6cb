package analysis

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// timed is a window of requests of which some are slow.
func timed(requests, slow uint64, fast, late time.Duration) Window {
	w := window(requests, 0)
	w.Latency = Histogram{}
	w.Latency.Add(Bucket(fast), requests-slow)
	w.Latency.Add(Bucket(late), slow)
	return w
}

// unhurried is a rollout's traffic: in each second a request with the chance rate, of
// which each is slow with the chance slow. It tells the readings, one a period.
func unhurried(a Alarm, seconds int, rate, slow float64, random *rand.Rand) (all []Reading) {
	s := NewSeries([]Alarm{a})
	s.Begin(at(0))
	for i := range seconds {
		var requests, late uint64
		if random.Float64() < rate {
			if requests = 1; random.Float64() < slow {
				late = 1
			}
		}
		w := timed(requests, late, 20*time.Millisecond, 2*time.Second)
		w.Start = at(i)
		s.Add(w)
		if (i+1)%int(a.Period/time.Second) != 0 {
			continue
		}
		all = append(all, Judge(a, s, nil, nil, at(i+1)))
		if all[len(all)-1].Verdict == Fail {
			break
		}
	}
	return all
}

func TestR11_R13_whoIsSlowForHalfOfFewRequestsDoesNotPass(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"p99 > 800ms", "p95 > 800ms min 5", "p99 > 800ms for 30s min 10", "p99 > 1s for 5s min 1", "p90 > 800ms in 3 of 5 for 5s min 1"} {
		a := mustParse("alarm", text)
		passed, tripped := 0, 0
		const rollouts = 100
		for seed := range uint64(rollouts) {
			all := unhurried(a, 600, 0.6, 0.5, rand.New(rand.NewPCG(seed, 3)))
			if all[len(all)-1].Verdict == Fail {
				tripped++
			}
			for i, r := range all {
				if r.Verdict == Pass && time.Duration(i+1)*a.Period >= time.Minute {
					passed++
					break
				}
			}
		}
		if passed > 0 || tripped < rollouts {
			t.Errorf("%s: of %d versions that are slow for half of 6 requests in 10 s, %d passed and %d tripped it", text, rollouts, passed, tripped)
		}
	}
}

func TestR11_theSumOfAQuantileAtItsLimitSeldomTrips(t *testing.T) {
	t.Parallel()
	const rollouts = 100 // of 1,000 none of p99, and about 1 in 100 of the others, goes back at exactly its limit
	for text, limit := range map[string]float64{"p99 > 800ms": 0.01, "p95 > 800ms": 0.05, "p90 > 800ms": 0.1, "p50 > 800ms": 0.5} {
		a := mustParse("alarm", text)
		for of, most := range map[float64]int{1: 3, 0.5: 1} {
			tripped, held, looks := 0, 0, 0
			for seed := range uint64(rollouts) {
				for _, r := range unhurried(a, 1200, 0.6, limit*of, rand.New(rand.NewPCG(seed, 4))) {
					looks++
					if r.Verdict == Inconclusive {
						held++
					}
					if r.Verdict == Fail && strings.Contains(r.Text, "more than chance") {
						tripped++
					}
				}
			}
			t.Logf("%s, at %v of it: %d of %d rollouts tripped by the sum, %d of %d looks held", text, of, tripped, rollouts, held, looks)
			if tripped > most {
				t.Errorf("%s, at %v of it: %d of %d rollouts of 20 min with 6 requests in 10 s went back", text, of, tripped, rollouts)
			}
		}
	}
}

func TestR11_smallDataPointsOfAQuantileAreJudgedByTheirSum(t *testing.T) {
	t.Parallel()
	p := try(t, "p99 > 800ms for 5s min 1")
	few := func(from int) {
		p.did(from, from+2, timed(3, 2, 20*time.Millisecond, 2*time.Second)).did(from+2, from+3, timed(3, 0, 20*time.Millisecond, 2*time.Second))
	}
	few(0)
	p.says(3, Inconclusive, "p99: 44.4 % of 9 requests in 3 s were slower than 800 ms, limit 1 %; 4 of the 10 slow requests it takes to tell")
	few(3)
	few(6)
	r := p.says(9, Fail, "p99: 44.4 % of 27 requests in 9 s were slower than 800 ms, limit 1 %: more than chance")
	if r.Requests != 27 || r.Bad != 12 || !r.Since.Equal(at(0)) || r.Value < 0.8 {
		t.Errorf("evidence: %+v", r)
	}
}

// What the sum counts is what the data points count: a group is within the limit where a
// data point of as many requests does not breach.
func TestSum_agreesWithTheQuantile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := mustParse("alarm", rapid.SampledFrom([]string{"p99 > 800ms", "p95 > 800ms", "p50 > 800ms"}).Draw(t, "alarm"))
		n := rapid.Uint64Range(1, 400).Draw(t, "requests")
		w := timed(n, rapid.Uint64Range(0, n).Draw(t, "slow"), 20*time.Millisecond, 2*time.Second)
		within := float64(a.bad(&w, a.Limit)) <= a.share(a.Limit)*float64(n)+1e-9
		if within == a.breaches(&w, a.Limit) {
			t.Fatalf("%d of %d are slow: the sum says %t, the data point breaches %t", a.bad(&w, a.Limit), n, within, a.breaches(&w, a.Limit))
		}
	})
}

// Alarms of several limits in one series count each their own.
func TestSum_countsByTheAlarmsOwnLimit(t *testing.T) {
	t.Parallel()
	low, high := mustParse("low", "p99 > 100ms for 5s min 1"), mustParse("high", "p99 > 1s for 5s min 1")
	s := NewSeries([]Alarm{low, high})
	s.Begin(at(0))
	for i := range 9 {
		w := timed(3, uint64(2-2*(i%3/2)), 20*time.Millisecond, 500*time.Millisecond)
		w.Start = at(i)
		s.Add(w)
	}
	if r := Judge(low, s, nil, nil, at(9)); r.Verdict != Fail {
		t.Errorf("%+v", r)
	}
	if r := Judge(high, s, nil, nil, at(9)); r.Verdict != Pass {
		t.Errorf("%+v", r)
	}
}
