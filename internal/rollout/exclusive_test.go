package rollout_test

import (
	"testing"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"

	"pgregory.net/rapid"
)

// keeperOfVolumes is a target with one exclusive workload. What is asked for
// reaches it late or never, instances take their time to end, and what it shows is
// seen late, twice, or not at all. It obeys blindly: it starts what it is told to.
type keeperOfVolumes struct {
	t       *rapid.T
	asked   []rollout.MemberWish // by revision: what was wanted
	applied int                  // the newest revision that it has taken
	lives   map[rollout.Version]int
	shown   []shownVolumes
}

type shownVolumes struct {
	revision int
	lives    map[rollout.Version]int
}

// ask takes what a stored state wants, under a revision of its own if it is new.
func (k *keeperOfVolumes) ask(w rollout.MemberWish) {
	if last := k.asked[len(k.asked)-1]; last != w {
		k.asked = append(k.asked, w)
	}
}

// pass lets the target take a world, instances end, and what lives be shown.
func (k *keeperOfVolumes) pass() {
	if rapid.Bool().Draw(k.t, "takes") {
		k.applied = rapid.IntRange(k.applied, len(k.asked)-1).Draw(k.t, "revision")
	}
	w := k.asked[k.applied]
	want := map[rollout.Version]int{w.Stable: w.StableInstances, w.Candidate: w.CandidateInstances}
	for v, n := range want {
		k.lives[v] = max(k.lives[v], n)
	}
	writers := 0
	for v, n := range k.lives {
		if n > want[v] && rapid.Bool().Draw(k.t, "ends") {
			k.lives[v] = want[v]
		}
		writers += k.lives[v]
	}
	if writers > 1 {
		k.t.Fatalf("two writers: %v; asked for %+v", k.lives, k.asked)
	}
	now := shownVolumes{k.applied, map[rollout.Version]int{}}
	for v, n := range k.lives {
		now.lives[v] = n
	}
	k.shown = append(k.shown, now)
}

// TestR31_neverTwoWriters plays an exclusive member against a target that obeys
// blindly, with crashes between a decision and what it asks for, any commands and
// verdicts, and two rollouts after each other: at no time do two instances live.
func TestR31_neverTwoWriters(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		stable := rollout.Version(rapid.IntRange(0, 1).Draw(t, "stable"))
		k := &keeperOfVolumes{t: t, lives: map[rollout.Version]int{}}
		k.asked = append(k.asked, rollout.MemberWish{Stable: stable, StableInstances: min(int(stable), 1)})
		now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
		changes := 0
		for candidate := rollout.Version(2); candidate <= 3; candidate++ {
			p := drawPlan(t)
			p.Members = p.Members[:1]
			p.Members[0].Candidate, p.Members[0].Instances = candidate, 1
			s := rollout.New(p, now)
			command := int64(0)
			for range rapid.IntRange(1, 80).Draw(t, "looks") {
				k.pass()
				now = now.Add(seconds(t, "passes", 0, 15))
				seen := k.look(p, s, stable)
				if rapid.IntRange(0, 9).Draw(t, "asks") == 0 {
					command++
					verb := rapid.SampledFrom([]rollout.Verb{rollout.Abort, rollout.Retry, rollout.Promote, rollout.PromoteFull, rollout.PauseVerb, rollout.Resume, rollout.SetWeight}).Draw(t, "verb")
					seen.Commands = []rollout.Command{{ID: command, Verb: verb, By: "ada", Weight: rollout.Weight(rapid.IntRange(0, 10000).Draw(t, "weight"))}}
				}
				if rapid.IntRange(0, 19).Draw(t, "newer") == 0 {
					seen.Newer = &rollout.Newer{Rollout: 9, Release: 43, Overlap: rollout.OverlapSupersede}
				}
				next, err := next(p, s, seen, now)
				if err != nil {
					t.Fatal(err)
				}
				if next.Handed && !s.Handed {
					changes++
				}
				s = next
				if w := s.Wish(p).Members; w != nil && rapid.IntRange(0, 3).Draw(t, "crash") > 0 {
					k.ask(w[0])
				}
			}
			if w := s.Wish(p).Members; w != nil {
				k.ask(w[0])
			}
			if !s.Over() {
				return // the next one would wait for its turn
			}
			if s.Outcome == rollout.Promoted {
				stable = candidate
			}
			k.ask(rollout.MemberWish{Stable: stable, StableInstances: min(int(stable), 1)})
		}
		t.Logf("%d changes of place", changes)
	})
}

// look is what the controller makes of one of the things that were shown: any, but
// none older than before.
func (k *keeperOfVolumes) look(p rollout.Plan, s rollout.State, stable rollout.Version) rollout.Seen {
	at := rapid.IntRange(0, len(k.shown)-1).Draw(k.t, "shown")
	k.shown = k.shown[at:]
	if rapid.IntRange(0, 4).Draw(k.t, "unseen") == 0 {
		return rollout.Seen{}
	}
	shown := k.shown[0]
	wish := rollout.MemberWish{Stable: stable, StableInstances: min(int(stable), 1)}
	if w := s.Wish(p).Members; w != nil {
		wish = w[0]
	}
	alive := 0
	for _, n := range shown.lives {
		alive += n
	}
	m := rollout.MemberSeen{
		Stable: stable, Exclusive: s.Phase == rollout.Queued, Served: wish.Weight,
		Ready: shown.lives[p.Members[0].Candidate], StableReady: shown.lives[stable],
		// Since this was asked for: an observation of the very world that is wanted now.
		Free: alive == 0 && shown.revision == len(k.asked)-1 && k.asked[shown.revision] == wish,
	}
	verdict := rapid.SampledFrom([]analysis.Verdict{analysis.Pass, analysis.Pass, analysis.Pass, analysis.Fail}).Draw(k.t, "verdict")
	m.Readings = []analysis.Reading{{Alarm: "errors", Verdict: verdict, Reaction: analysis.ReactRollback, Text: "errors"}}
	if rapid.IntRange(0, 9).Draw(k.t, "fails") == 0 {
		m.Failure = "exit 1"
	}
	seen := rollout.Seen{Members: []rollout.MemberSeen{m}, Hooks: map[string]rollout.HookResult{}}
	for _, h := range s.Hooks {
		seen.Hooks[h.Key] = rollout.HookResult{Exit: rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(k.t, "exit")}
	}
	return seen
}
