package harness

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/sim"
	"titrate/internal/world"
)

// slow reports whether tests may take minutes.
func slow() bool { return os.Getenv("TITRATE_TEST_SLOW") != "" }

// TestSimulate_everythingHoldsWhateverHappens plays histories in which everything
// goes wrong.
func TestSimulate_everythingHoldsWhateverHappens(t *testing.T) {
	t.Parallel()
	o := Options{Seed: 1, Looks: 8000}
	if slow() {
		o.Looks = 200_000
	}
	r, err := Run(t.Context(), o, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range r.Violations {
		t.Errorf("seed %d: %v", v.Seed, v)
	}
	if missing := r.Missing(); missing != nil {
		t.Errorf("never happened: %v", missing)
	}
	t.Logf("%d looks in %d histories, %d crashes, outcomes %v", r.Looks, r.Histories, r.Crashes, r.Outcomes)
}

// TestSimulate_eachHistoryIsHard holds every history to what makes it worth
// playing.
func TestSimulate_eachHistoryIsHard(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		h := newHistory(seed, "", nil, sabotage{})
		if err := h.play(); err != nil {
			t.Error(err)
		}
		if n := len(h.store.Keys()); n < 3 || h.pushes < 2 || h.crashes < 1 {
			t.Errorf("seed %d: %d workloads, %d pushes, %d crashes", seed, n, h.pushes, h.crashes)
		}
	}
}

// TestSimulate_aSeedIsAHistory plays the same seed twice: what is told is the same
// to the letter, or a replay would be none.
func TestSimulate_aSeedIsAHistory(t *testing.T) {
	t.Parallel()
	for seed := uint64(1); seed <= 3; seed++ {
		var once, again bytes.Buffer
		for _, out := range []*bytes.Buffer{&once, &again} {
			if _, err := Trace(Options{Seed: seed}, out, time.Now); err != nil {
				t.Fatal(err)
			}
		}
		if once.Len() == 0 || once.String() != again.String() {
			t.Errorf("seed %d told two histories of %d and %d bytes", seed, once.Len(), again.Len())
		}
	}
}

// TestR19_aLostAnswerLosesNothing has every second answer of the store lost: a
// controller that goes on must find what was stored, and ask for its world.
func TestR19_aLostAnswerLosesNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		h := newHistory(seed, "", nil, sabotage{})
		h.only = &rates{storeUnanswered: 0.5, push: 0.02, person: 0.02}
		if err := h.play(); err != nil {
			t.Error(err)
		}
	}
}

// TestR18_theOldControllerIsFenced changes the lease again and again.
func TestR18_theOldControllerIsFenced(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		h := newHistory(seed, "", nil, sabotage{})
		h.only = &rates{lease: 0.05, push: 0.02, person: 0.02, targetRefuses: 0.3, routerLoses: 0.3}
		if err := h.play(); err != nil {
			t.Error(err)
		}
	}
}

// TestSimulate_findsPlantedFaults plants a fault at a time: the checks must find
// it, or they check nothing, and must say how to see it again.
func TestSimulate_findsPlantedFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		plan sabotage
		want invariant
	}{
		{"hands take any stamp", sabotage{bugs: sim.Bugs{AnyStamp: true}}, oneWriter},
		{"the router draws on what is not ready", sabotage{bugs: sim.Bugs{DrawsUnready: true}}, drawnReady},
		{"hooks run again", sabotage{bugs: sim.Bugs{HookAgain: true}}, onceOnly},
		{"capacity is believed that is not there", sabotage{distort: func(s *world.Seen) {
			for i := range s.Fleets {
				s.Fleets[i].Ready = 9
			}
		}}, capacity},
		{"instances are not seen that live", sabotage{distort: func(s *world.Seen) { s.Instances = nil }}, oneVolumeWriter},
		{"the store takes any writer", sabotage{anyToken: true}, oneWriter},
		{"the core forgets an abort", sabotage{alter: func(c *rollout.Change) {
			for i := range c.Looks {
				if a := &c.Looks[i].After; a.Outcome == rollout.Aborted {
					a.Outcome = rollout.Promoted
				}
			}
		}}, replays},
		{"an abort is obeyed as a rollback", sabotage{next: func(s rollout.State) rollout.State {
			if s.Outcome == rollout.Aborted {
				s.Outcome = rollout.RolledBack
			}
			return s
		}}, abortWins},
		{"an outcome changes", sabotage{next: func(s rollout.State) rollout.State {
			if s.Outcome == rollout.Failed && s.Phase == rollout.Ended {
				s.Outcome = rollout.Superseded
			}
			return s
		}}, oneOutcome},
		{"refusals are not stored", sabotage{alter: func(c *rollout.Change) { c.Refusals = nil }}, loopGuard},
		{"promotions are not stored", sabotage{alter: func(c *rollout.Change) { c.Promotions = nil }}, endsAsWanted},
		{"the meter finds nothing bad", sabotage{bugs: sim.Bugs{Blameless: true}}, judgedWell},
		{"the router never says what it serves", sabotage{bugs: sim.Bugs{NeverAcks: true}}, allEnd},
		{"steps are not held", sabotage{next: func(s rollout.State) rollout.State { return s }, alter: func(c *rollout.Change) {
			c.Opened = slices.Clone(c.Opened)
			for i := range c.Opened {
				p := &c.Opened[i].Plan
				p.Bake += time.Hour
				p.Steps = slices.Clone(p.Steps)
				for j := range p.Steps {
					p.Steps[j].Hold += time.Hour
				}
			}
		}}, heldAsPlanned},
		{"a function is promoted that nobody called", sabotage{distort: func(s *world.Seen) {
			for i := range s.Fleets {
				s.Fleets[i].Invoked *= 40
			}
		}}, invokedEnough},
		{"a member of a group is not promoted", sabotage{alter: func(c *rollout.Change) {
			if n := len(c.Promotions); n > 1 && c.Promotions[0].Rollout == c.Promotions[n-1].Rollout {
				c.Promotions = c.Promotions[:n-1]
			}
		}}, sameEnd},
		{"waves are not kept", sabotage{next: func(s rollout.State) rollout.State {
			s.Shares = nil
			return s
		}}, inWaves},
		{"weights do not sum", sabotage{table: func(w *world.Wanted) {
			for i := range w.Workloads {
				for j := range w.Workloads[i].Split {
					if s := w.Workloads[i].Split; s[j].Weight < rollout.Full {
						w.Workloads[i].Split = []world.Share{{Version: s[j].Version, Weight: s[j].Weight}}
						break
					}
				}
			}
		}}, weightsSum},
		{"the old version goes while it has traffic", sabotage{fleets: func(w *world.Wanted) {
			for i := range w.Workloads {
				if f := w.Workloads[i].Fleets; len(f) > 1 {
					w.Workloads[i].Fleets = f[1:]
				}
			}
		}}, keepsTraffic},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= 60; seed++ {
				var v *ViolationError
				if err := newHistory(seed, "", nil, test.plan).play(); !errors.As(err, &v) {
					continue
				}
				if v.Text != texts[test.want].text {
					continue // another invariant was quicker in this history
				}
				if !strings.Contains(v.Error(), replayCommand("", seed)) {
					t.Errorf("it does not say how to see it again: %v", v)
				}
				return
			}
			t.Errorf("60 histories did not find it")
		})
	}
}

// TestR3_aSteadyStreamOfPushesIsPromoted pushes every 3 minutes, under the default
// strategy and bake: each service is promoted at least once in every two shift
// times.
func TestR3_aSteadyStreamOfPushesIsPromoted(t *testing.T) {
	t.Parallel()
	lasts := 3 * time.Hour
	if slow() {
		lasts = day
	}
	h := newHistory(1, SteadyPushes, nil, sabotage{})
	s := h.steady(lasts, steadyEvery)
	if s.Longest > 2*s.Shift || s.Promotions < int(lasts/(2*s.Shift)) {
		t.Errorf("%+v", s)
	}
	t.Logf("%+v in %s", s, lasts)
}

// TestR3_twoHundredReleasesADay pushes 200 times in a simulated day.
func TestR3_twoHundredReleasesADay(t *testing.T) {
	t.Parallel()
	if !slow() {
		t.Skip("a day is long: TITRATE_TEST_SLOW=1")
	}
	h := newHistory(2, SteadyPushes, nil, sabotage{})
	s := h.steady(day, day/200)
	if s.Pushes < 200 || s.Longest > 2*s.Shift {
		t.Errorf("%+v", s)
	}
	t.Logf("%+v", s)
}
