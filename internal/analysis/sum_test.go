package analysis

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// chanced is a rollout's traffic: in each second a request with the chance rate, of
// which each fails with the chance fails. It tells the verdicts, one a period.
func chanced(a Alarm, seconds int, rate, fails float64, random *rand.Rand) (verdicts []Verdict, last Reading) {
	s := NewSeries([]Alarm{a})
	s.Begin(at(0))
	for i := range seconds {
		var requests, failed uint64
		for requests < uint64(rate) || random.Float64() < rate-math.Floor(rate) && requests == uint64(rate) {
			requests++
			if random.Float64() < fails {
				failed++
			}
		}
		w := window(requests, failed)
		w.Start = at(i)
		s.Add(w)
		if (i+1)%int(a.Period/time.Second) != 0 {
			continue
		}
		last = Judge(a, s, nil, nil, at(i+1))
		verdicts = append(verdicts, last.Verdict)
		if last.Verdict == Fail {
			break
		}
	}
	return verdicts, last
}

func TestR11_R13_whoFailsHalfOfFewRequestsDoesNotPass(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"5xx > 1%", "errors > 5%", "5xx > 2% min 5", "5xx > 1% for 30s min 10", "5xx > 1% for 10s min 1", "5xx > 1% for 5s min 1", "5xx > 10% in 3 of 5 for 5s min 1",
	} {
		a := mustParse("alarm", text)
		passed, tripped := 0, 0
		const rollouts = 200
		for seed := range uint64(rollouts) {
			// Six requests in 10 s for 10 min; the step is held for a minute.
			verdicts, _ := chanced(a, 600, 0.6, 0.5, rand.New(rand.NewPCG(seed, 1)))
			if verdicts[len(verdicts)-1] == Fail {
				tripped++
			}
			for i, v := range verdicts {
				if v == Pass && time.Duration(i+1)*a.Period >= time.Minute {
					passed++
					break
				}
			}
		}
		if passed > 0 || tripped < rollouts {
			t.Errorf("%s: of %d versions that fail half of 6 requests in 10 s, %d passed and %d tripped it", text, rollouts, passed, tripped)
		}
	}
}

func TestR11_theSumOfAVersionAtItsLimitSeldomTrips(t *testing.T) {
	t.Parallel()
	a := mustParse("alarm", "5xx > 1%")
	const rollouts = 300
	for fails, most := range map[float64]int{0.01: rollouts / 50, 0.005: 1, 0.001: 0} {
		tripped, held, looks := 0, 0, 0
		for seed := range uint64(rollouts) {
			verdicts, _ := chanced(a, 1200, 0.6, fails, rand.New(rand.NewPCG(seed, 2)))
			for _, v := range verdicts {
				looks++
				if v == Inconclusive {
					held++
				}
				if v == Fail {
					tripped++
				}
			}
		}
		t.Logf("%.1f %%: %d of %d rollouts tripped, %d of %d looks held", fails*100, tripped, rollouts, held, looks)
		if tripped > most {
			t.Errorf("%.1f %% of requests fail, the limit is 1 %%: %d of %d rollouts of 20 min with 6 requests in 10 s went back", fails*100, tripped, rollouts)
		}
	}
}

func TestR11_oneBadRequestOfSixIsNoBreach(t *testing.T) {
	t.Parallel()
	p := try(t, "5xx > 1% for 10s min 1")
	p.did(0, 1, window(6, 1)).did(1, 10, window(0, 0))
	p.says(10, Inconclusive, "5xx was 16.7 % for 10 s, limit 1 %; 1 of the 3 failed requests it takes to tell")
	p.did(10, 11, window(6, 0)).did(11, 20, window(0, 0))
	p.says(20, Pass, "5xx was 0 % over 10 s, limit 1 %")
}

func TestR11_smallDataPointsAreJudgedByTheirSum(t *testing.T) {
	t.Parallel()
	p := try(t, "5xx > 1% for 5s min 1")
	// Two requests a second; each third second happens to be served well.
	third := func(from int) { p.did(from, from+2, window(2, 1)).did(from+2, from+3, window(2, 0)) }
	third(0)
	p.says(3, Inconclusive, "5xx was 33.3 % of 6 requests in 3 s, limit 1 %; 2 of the 3 failed requests it takes to tell")
	third(3)
	r := p.says(6, Fail, "5xx was 33.3 % of 12 requests in 6 s, limit 1 %: more than chance")
	if r.Requests != 12 || r.Bad != 4 || !r.Since.Equal(at(0)) || math.Abs(r.Value-1.0/3) > 1e-9 {
		t.Errorf("evidence: %+v", r)
	}
}

func TestR11_theMinimumMayTakeLongerThanTheWindow(t *testing.T) {
	t.Parallel()
	p := try(t, "5xx > 1% for 5s")
	p.did(0, 9, window(2, 1)).says(9, NoData, "10 of 20 requests in 5 s")
	p.did(9, 10, window(2, 1)).says(10, Fail, "5xx was 50 % of 20 requests in 10 s, limit 1 %: more than chance")
}

func TestR27a_aBurstThatIsOverDoesNotTripByItsSum(t *testing.T) {
	t.Parallel()
	p := try(t, "5xx > 1% min 1")
	p.did(0, 5, window(2, 2)).did(5, 10, window(0, 0)) // ten failures at once
	p.says(10, Inconclusive, "5xx was 100 % for 10 s, limit 1 %; trips after 1 min")
	p.did(10, 20, window(1, 0)).says(20, Inconclusive, "5xx was 50 % of 20 requests in 20 s, limit 1 %; trips after 1 min")
	p.did(20, 30, window(1, 0)).says(30, Pass, "5xx was 33.3 % over 1 min, limit 1 %")
	p.did(30, 120, window(1, 0)).says(120, Pass, "5xx was 0 % over 1 min, limit 1 %")
}

func TestR27a_withEnoughRequestsTheSumSaysNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := shortAlarms().Filter(func(a Alarm) bool { return a.Metric.unit() == ratio }).Draw(t, "alarm")
		periods := rapid.IntRange(1, 20).Draw(t, "periods")
		s := NewSeries([]Alarm{a})
		s.Begin(at(0))
		for i := range periods {
			w := window(rapid.Uint64Range(enough, 200).Draw(t, "requests"), 0)
			w.Failed = rapid.Uint64Range(0, w.Requests).Draw(t, "failed")
			w.Status[5] = w.Failed
			w.Start, w.Length = at(0).Add(time.Duration(i)*a.Period), a.Period
			s.Add(w)
		}
		j := judgement{Alarm: a, answers: s.grid(a.Period).answers}
		if got, ok := j.stretch(periods, a.Limit); ok {
			t.Fatalf("%+v", got)
		}
	})
}

func TestAtLeast_isTheBinomialTail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bad, n uint64
		p      float64
		want   float64
	}{
		{1, 1, 0.01, 0.01},
		{1, 6, 0.01, 1 - math.Pow(0.99, 6)},
		{3, 3, 0.5, 0.125},
		{4, 6, 0.5, 22.0 / 64},
		{3, 36, 0.01, 0.005581},
		{20, 20, 0.05, math.Pow(0.05, 20)},
		{1, 10, 0.5, 1},
		{1, 1, 0, 0},
		{100500, 10_000_000, 0.01, 0.0562},
	} {
		if got := atLeast(c.bad, c.n, c.p); math.Abs(got-c.want) > c.want*0.01 {
			t.Errorf("%d of %d at %v: %v, want %v", c.bad, c.n, c.p, got, c.want)
		}
	}
}
