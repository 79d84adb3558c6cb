package harness

import (
	"fmt"
	"testing"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/sim"
)

// functions is a history of n functions that move together, fifteen at a time, in
// steps of 10 s, which are called so often. Their first versions are promoted.
func functions(t *testing.T, seed uint64, only rates, loads ...float64) *history {
	t.Helper()
	h := newHistory(seed, "", nil, sabotage{})
	h.only, h.rates = &only, only
	h.app = &app{overlap: "next", strategy: "Linear10PercentEvery10Seconds", bake: "20s", waves: 15, together: [2]int{0, len(loads)}}
	for i, load := range loads {
		s := &service{name: fmt.Sprintf("f%d", i), scale: 1, function: true, load: load}
		h.app.services = append(h.app.services, s)
		h.loads[s.name] = load
		h.version(s, sim.Nature{Start: time.Second})
	}
	h.start()
	h.push(false)
	h.goes(t, time.Second, time.Minute, func() bool { return h.last().Phase == rollout.Ended })
	if s := h.last(); s.Outcome != rollout.Promoted {
		t.Fatalf("the first release is %s: %s", s.Outcome, s.Why)
	}
	return h
}

// version makes the next artifact of a function, of a known nature.
func (h *history) version(s *service, n sim.Nature) {
	s.built++
	s.artifact = s.built
	h.natures[digest(s, s.artifact)] = nature{Nature: n, fault: BadErrors}
}

func (h *history) last() rollout.State { return h.store.Record(h.store.Last()).State }

// goes lets time pass until something is so.
func (h *history) goes(t *testing.T, tick, most time.Duration, so func() bool) {
	t.Helper()
	for began := h.clock.Now(); !so(); h.tick(tick) {
		if h.clock.Now().Sub(began) > most {
			t.Fatalf("not so after %s: %s, %s", most, h.last().Phase, h.last().Why)
		}
	}
}

// sixtyLoads are those of sixty functions: from once in 100 s to 100 times a second.
func sixtyLoads() []float64 {
	var loads []float64
	for i := range 60 {
		loads = append(loads, calls[i%len(calls)])
	}
	return loads
}

func TestR23_sixtyFunctionsEndAsOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ill  sim.Nature
		want rollout.Outcome
		only rates
	}{
		"well":                 {sim.Nature{Errors: 0.002}, rollout.Promoted, rates{}},
		"one throws":           {sim.Nature{Errors: 0.5}, rollout.RolledBack, rates{}},
		"one is not done":      {sim.Nature{Timeouts: 0.5}, rollout.RolledBack, rates{}},
		"one is throttled":     {sim.Nature{Throttled: 0.5}, rollout.RolledBack, rates{}},
		"one throws, in chaos": {sim.Nature{Errors: 0.5}, rollout.RolledBack, rates{lease: 0.01, storeUnanswered: 0.05, storeRefuses: 0.05, routerLoses: 0.05, routerUnanswered: 0.05, observationLate: 0.05, windowsDoubled: 0.05}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := functions(t, 23, rates{}, sixtyLoads()...)
			h.only, h.rates = &c.only, c.only
			for i, s := range h.app.services {
				n := sim.Nature{Start: time.Second, Errors: 0.002}
				if i == 33 { // 30 calls a second
					n = c.ill
				}
				h.version(s, n)
			}
			h.push(false)
			h.goes(t, time.Second, 2*time.Hour, func() bool {
				if h.newest != nil && h.only.lease > 0 {
					h.disturb()
				}
				for name, load := range h.loads { // the bake need not take hours
					if h.last().Phase == rollout.Baking {
						h.loads[name] = max(load, 1)
					}
				}
				return h.last().Phase == rollout.Ended
			})
			s := h.last()
			if s.Outcome != c.want || c.want == rollout.RolledBack && s.Back.Member != 33 {
				t.Errorf("%s: %s", s.Outcome, s.Why)
			}
			for _, f := range h.app.services {
				k := rollout.Key{App: "shop", Env: env, Workload: f.name}
				if stable := h.store.Stable(k); (stable == 2) != (c.want == rollout.Promoted) {
					t.Errorf("%s of %s is stable", stable, k)
				}
			}
		})
	}
}

func TestR11_aFunctionThatNobodyCallsBakesSevenDays(t *testing.T) {
	t.Parallel()
	if !slow() {
		t.Skip("seven days are long: TITRATE_TEST_SLOW=1")
	}
	h := functions(t, 11, rates{}, 0, 0, 5)
	for _, s := range h.app.services {
		h.version(s, sim.Nature{Start: time.Second})
	}
	h.push(false)
	pushed := h.clock.Now()
	h.goes(t, time.Second, 5*time.Minute, func() bool { return h.last().Phase == rollout.Baking })
	if held := h.clock.Now().Sub(pushed); held > 3*time.Minute {
		t.Errorf("steps of 100 s took %s", held)
	}
	h.loads["f2"] = 0
	baked := h.clock.Now()
	h.goes(t, 10*time.Second, rollout.RareBake+time.Hour, func() bool { return h.last().Over() })
	s := h.last()
	if took := h.clock.Now().Sub(baked); took < rollout.RareBake || s.Outcome != rollout.Promoted || !s.Unmeasured {
		t.Errorf("%s after %s, unmeasured %t: %s", s.Outcome, took, s.Unmeasured, s.Why)
	}
}

func TestR11_aRareFunctionIsPromotedByItsTwentiethCall(t *testing.T) {
	t.Parallel()
	h := functions(t, 12, rates{}, 0, 5)
	for _, s := range h.app.services {
		h.version(s, sim.Nature{Start: time.Second})
	}
	h.push(false)
	h.goes(t, time.Second, 5*time.Minute, func() bool { return h.last().Phase == rollout.Baking })
	k := rollout.Key{App: "shop", Env: env, Workload: "f0"}
	for call := range rollout.EnoughInvocations {
		for range 30 {
			h.tick(time.Second)
		}
		if h.last().Over() {
			t.Fatalf("it is over after %d calls", call)
		}
		h.world.Send(k, 1)
	}
	h.goes(t, time.Second, 10*time.Second, func() bool { return h.last().Over() })
	if s := h.last(); s.Outcome != rollout.Promoted || s.Unmeasured {
		t.Errorf("%s, unmeasured %t: %s", s.Outcome, s.Unmeasured, s.Why)
	}
}

func TestR11_aRareFunctionThatFailsIsNotPromoted(t *testing.T) {
	t.Parallel()
	h := functions(t, 13, rates{}, 0, 5)
	for i, s := range h.app.services {
		n := sim.Nature{Start: time.Second}
		if i == 0 {
			n.Errors = 0.5
		}
		h.version(s, n)
	}
	h.push(false)
	k := rollout.Key{App: "shop", Env: env, Workload: "f0"}
	h.goes(t, time.Second, time.Hour, func() bool {
		if h.clock.Now().Second() == 0 {
			h.world.Send(k, 1)
		}
		s := h.last()
		return s.Over() || s.Pause != nil
	})
	if s := h.last(); s.Outcome == rollout.Promoted {
		t.Errorf("%s: %s", s.Outcome, s.Why)
	}
}
