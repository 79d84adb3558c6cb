package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"
)

// fellow is a function of a group: what is asked of it, and how it does.
type fellow struct {
	rps           float64 // of all its versions
	fails, stable float64 // chance of a request of candidate and stable
	timeouts      float64 // of the candidate, a second with all traffic
	alarms        []Alarm
	tried, base   *Series
	bad           uint64 // requests since the weight arrived
}

// group is a rollout of functions that move together, in periods of 10 s. It tells whether
// an alarm took it back, of which member, and when.
type group struct {
	random  *rand.Rand
	fellows []*fellow
	among   Among
	seconds int
}

func newGroup(seed uint64, n int, fails float64) *group {
	g := &group{random: rand.New(rand.NewPCG(seed, 27)), among: Among{Steps: len(linear)}}
	for i := range n {
		f := &fellow{rps: []float64{0.05, 0.2, 1, 5, 20, 100}[i%6], fails: fails, stable: fails, timeouts: 0.5 / 300}
		f.alarms = []Alarm{mustParse("errors", "errors > 1% for 1m"), mustParse("timeouts", "timeouts > 2 for 5m"), mustParse("throttles", "throttles > 0 for 1m")}
		f.tried, f.base = NewSeries(f.alarms), NewSeries(f.alarms)
		g.among.Tests += len(f.alarms)
		g.fellows = append(g.fellows, f)
	}
	return g
}

// linear is Linear10PercentEvery1Minute after a step of 1 %.
var linear = []float64{0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1}

// play plays the rollout with a bake of 10 min; tripped is the member that took it back, or -1.
func (g *group) play() (tripped int, took time.Duration) {
	for i, weight := range linear {
		periods := 6
		if i == len(linear)-1 {
			periods += 60
		}
		for _, f := range g.fellows {
			f.begin(at(g.seconds))
		}
		for held := 1; ; held++ {
			well := true
			for m, f := range g.fellows {
				switch f.period(g, weight) {
				case Fail:
					return m, time.Duration(g.seconds) * time.Second
				case Inconclusive:
					well = false
				default:
				}
			}
			g.seconds += 10
			if held >= periods && well || held > 200 {
				break
			}
		}
	}
	return -1, time.Duration(g.seconds) * time.Second
}

func (f *fellow) begin(from time.Time) {
	f.tried.Begin(from)
	f.base.Begin(from)
	f.bad = 0
}

// period lets 10 s pass and returns the worst verdict.
func (f *fellow) period(g *group, weight float64) Verdict {
	w := Window{Start: at(g.seconds), Length: 10 * time.Second, Requests: poisson(g.random, f.rps*weight*10)}
	w.Failed = binomial(g.random, w.Requests, f.fails)
	w.Timeouts = min(poisson(g.random, f.timeouts*weight*10), w.Failed)
	f.tried.Add(w)
	f.bad += w.Failed
	w = Window{Start: w.Start, Length: w.Length, Requests: poisson(g.random, f.rps*(1-weight)*10)}
	w.Failed = binomial(g.random, w.Requests, f.stable)
	f.base.Add(w)
	if f.bad == 0 {
		return Pass // no alarm of these says anything else
	}
	worst := Pass
	for _, a := range f.alarms {
		switch JudgeAmong(g.among, a, f.tried, f.base, nil, at(g.seconds+10)).Verdict {
		case Fail:
			return Fail
		case Inconclusive:
			worst = Inconclusive
		default:
		}
	}
	return worst
}

// poisson draws how often something happens that does so mean times on average.
func poisson(r *rand.Rand, mean float64) uint64 {
	if mean > 50 {
		return uint64(max(0, math.Round(mean+r.NormFloat64()*math.Sqrt(mean))))
	}
	n, p := uint64(0), r.Float64()
	for limit := math.Exp(-mean); p > limit; n++ {
		p *= r.Float64()
	}
	return n
}

// binomial draws how many of n are bad, from one bad one to the next.
func binomial(r *rand.Rand, n uint64, p float64) (bad uint64) {
	if p <= 0 {
		return 0
	}
	for at := uint64(0); ; bad++ {
		skip := math.Log(1-r.Float64()) / math.Log1p(-p)
		if skip >= float64(n-at) {
			return bad
		}
		at += uint64(skip) + 1
		if at > n {
			return bad
		}
	}
}

// rollouts plays so many groups, on two cores, and returns how many were taken back, by whom,
// and how long they took on average.
func rollouts(n int, of func(seed uint64) *group) (back map[int]int, mean time.Duration) {
	var mu sync.Mutex
	var workers sync.WaitGroup
	back = map[int]int{}
	var all time.Duration
	for worker := range 2 {
		workers.Go(func() {
			for i := worker; i < n; i += 2 {
				tripped, took := of(uint64(i)).play()
				mu.Lock()
				all += took
				if tripped >= 0 {
					back[tripped]++
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return back, all / time.Duration(n)
}

func sum(counts map[int]int) (n int) {
	for _, times := range counts {
		n += times
	}
	return n
}

// games is how many rollouts are played. A bound of 1 % needs thousands, which take minutes:
// those of decision 13 are played with TITRATE_TEST_SLOW=all.
func games(few, some, many int) int {
	switch os.Getenv("TITRATE_TEST_SLOW") {
	case "":
		return few
	case "all":
		return many
	}
	return some
}

func TestR27_sixtyMembersDoNotAddUp(t *testing.T) {
	t.Parallel()
	for _, fails := range []float64{0.002, 0.005, 0.009} {
		n := games(6, 100, 2000)
		back, mean := rollouts(n, func(seed uint64) *group { return newGroup(seed, 60, fails) })
		gone := sum(back)
		apart, _ := rollouts(games(4, 10, 100), func(seed uint64) *group {
			g := newGroup(seed, 60, fails)
			g.among = Among{}
			return g
		})
		t.Logf("60 members, each of which fails %.1f %%: as alarms by themselves %d of %d rollouts go back", fails*100, sum(apart), games(4, 10, 100))
		t.Logf("60 members, each fails %.1f %% like stable, limit 1 %%: %d of %d rollouts go back; they take %s", fails*100, gone, n, mean.Round(time.Second))
		if gone > n/100 {
			t.Errorf("%.1f %%: %d of %d", fails*100, gone, n)
		}
	}
}

func TestR27_aMemberThatFailsIsFoundAmongSixty(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fails float64
		rps   float64
		of    int // hundredths that are found at least
	}{{0.05, 0.2, 0}, {0.05, 1, 80}, {0.05, 5, 95}, {0.05, 20, 100}, {0.05, 100, 100}, {0.5, 0.2, 90}, {0.5, 1, 100}, {0.5, 5, 100}, {0.5, 100, 100}} {
		n := games(6, 30, 500)
		back, mean := rollouts(n, func(seed uint64) *group {
			g := newGroup(seed, 60, 0.002)
			g.fellows[7].fails, g.fellows[7].rps = c.fails, c.rps
			return g
		})
		text := fmt.Sprintf("one of 60 fails %.0f %% at %v requests a second: %d of %d rollouts go back for it, after %s", c.fails*100, c.rps, back[7], n, mean.Round(time.Second))
		t.Log(text)
		if back[7]*100 < c.of*n {
			t.Error(text)
		}
	}
}
