package rollout_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"

	"pgregory.net/rapid"
)

// game is a rollout in a world that rapid makes up.
type game struct {
	t       *rapid.T
	plan    rollout.Plan
	state   rollout.State
	seen    rollout.Seen
	now     time.Time
	command int64
	allowed map[string]bool // moves between phases that docs/life-of-a-release.md shows

	volumes []bool // by member: it is exclusive (R31)

	invoked []uint64 // by member: its candidate's invocations when the attempt began

	looked time.Time     // when it was looked at last
	counts bool          // at that look the weight was served and could be measured
	held   time.Duration // of the step, or the bake, that counts
}

// TestSafety_whateverIsSeen plays any plan against any world, with any commands,
// and checks every look; then against a world that obeys and a person who
// answers, where every rollout must end (R21).
func TestSafety_whateverIsSeen(t *testing.T) {
	t.Parallel()
	allowed := diagram(t)
	rapid.Check(t, func(t *rapid.T) {
		g := newGame(t, allowed)
		for range rapid.IntRange(0, 60).Draw(t, "looks") {
			g.wild()
			g.look()
		}
		g.settle(rapid.Bool().Draw(t, "well"))
	})
}

// TestR6_abortAlwaysEndsAtZero aborts at any moment, in a world that obeys from
// then on: no traffic is left, and there is one outcome.
func TestR6_abortAlwaysEndsAtZero(t *testing.T) {
	t.Parallel()
	allowed := diagram(t)
	rapid.Check(t, func(t *rapid.T) {
		g := newGame(t, allowed)
		for range rapid.IntRange(0, 40).Draw(t, "looks") {
			g.wild()
			g.look()
		}
		promoted := g.state.Outcome == rollout.Promoted
		g.obey(true)
		g.ask(rollout.Command{Verb: rollout.Abort})
		g.look()
		for _, m := range g.state.Wish(g.plan).Members {
			if !promoted && m.Weight > 0 && !g.plan.Gradual {
				t.Fatalf("an abort with stable ready left %s", m.Weight)
			}
		}
		for range 8 {
			g.obey(true)
			g.now = g.now.Add(time.Second)
			g.look()
		}
		if !g.state.Over() || !promoted && (g.state.Weight > 0 || g.state.Shares != nil) {
			t.Fatalf("aborted, but %s at %s", g.state.Phase, g.state.Weight)
		}
	})
}

// TestR19_doubledLooksAndCommands shows every look twice: a command is carried
// out once, and nothing is noted twice.
func TestR19_doubledLooksAndCommands(t *testing.T) {
	t.Parallel()
	allowed := diagram(t)
	rapid.Check(t, func(t *rapid.T) {
		g := newGame(t, allowed)
		for range rapid.IntRange(1, 40).Draw(t, "looks") {
			g.wild()
			g.look()
			once := g.state
			g.look()
			if g.state.Attempt > once.Attempt && once.Command == g.command {
				t.Fatal("a command was carried out twice")
			}
			noted := map[string]bool{}
			for _, n := range g.state.Notices {
				if noted[n] {
					t.Fatalf("noted twice: %s", n)
				}
				noted[n] = true
			}
			keys := map[string]bool{}
			for _, h := range g.state.Hooks {
				if keys[h.Key] {
					t.Fatalf("hook %s is asked for twice (R24)", h.Key)
				}
				keys[h.Key] = true
			}
		}
	})
}

// TestR3_aStreamOfPushesDoesNotStarve opens a newer rollout every 3 minutes in a
// world that is well: each that begins is promoted, and in no more than two
// times what it takes to shift.
func TestR3_aStreamOfPushesDoesNotStarve(t *testing.T) {
	t.Parallel()
	allowed := diagram(t)
	rapid.Check(t, func(t *rapid.T) {
		g := newGame(t, allowed)
		shift := time.Minute // for what waits for looks
		for i := range g.plan.Steps {
			g.plan.Steps[i].Approve = false
			shift += g.plan.Steps[i].Hold
		}
		g.plan.Kind = rollout.Forward
		begin := g.now
		for !g.state.Over() {
			g.obey(true)
			if g.now.Sub(begin) >= 3*time.Minute {
				g.seen.Newer = &rollout.Newer{Rollout: 8, Release: 43, Overlap: rollout.OverlapNext, Covers: true}
			}
			g.look()
			g.now = g.now.Add(4 * time.Second)
			if g.now.Sub(begin) > 2*shift+3*time.Minute {
				t.Fatalf("still %s at %s: %s", g.state.Phase, g.state.Weight, g.state.Why)
			}
		}
		if g.state.Outcome != rollout.Promoted {
			t.Fatalf("%s: %s", g.state.Outcome, g.state.Why)
		}
	})
}

func newGame(t *rapid.T, allowed map[string]bool) *game {
	g := &game{t: t, now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), allowed: allowed}
	g.plan = drawPlan(t)
	if err := g.plan.Validate(); err != nil {
		t.Fatal(err)
	}
	for range g.plan.Members {
		g.volumes = append(g.volumes, rapid.IntRange(0, 3).Draw(t, "volumes") == 0)
	}
	g.state = rollout.New(g.plan, g.now)
	return g
}

// exclusive reports whether member i is seen to be exclusive.
func (g *game) exclusive(i int) bool { return g.state.Phase == rollout.Queued && g.volumes[i] }

func seconds(t *rapid.T, name string, from, to int) time.Duration {
	return time.Duration(rapid.IntRange(from, to).Draw(t, name)) * time.Second
}

func drawPlan(t *rapid.T) rollout.Plan {
	flag := func(name string) bool { return rapid.IntRange(0, 3).Draw(t, name) == 0 }
	p := rollout.Plan{
		Rollout: 7, App: "cofe", Env: "production", Release: 42, Attempt: rapid.IntRange(0, 2).Draw(t, "attempt"),
		Kind:    rapid.SampledFrom([]rollout.Kind{rollout.Forward, rollout.Forward, rollout.Rollback}).Draw(t, "kind"),
		Overlap: rollout.OverlapNext, FullCapacity: flag("full"), Gradual: flag("gradual"),
		Bake: seconds(t, "bake", 0, 60), Keep: seconds(t, "keep", 0, 60), Drain: seconds(t, "drain", 0, 30),
		StartTimeout: seconds(t, "startTimeout", 1, 60), NoDataTimeout: seconds(t, "noDataTimeout", 1, 90), HookTimeout: seconds(t, "hookTimeout", 1, 30),
		MaxRestarts: rapid.IntRange(1, 4).Draw(t, "maxRestarts"), NoDataPasses: flag("noDataPasses"), SourceErrorRollback: flag("sourceError"),
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "members") {
		hook := func(name string) string {
			if flag(name) {
				return "./" + name
			}
			return ""
		}
		m := rollout.Member{
			Workload: []string{"orders", "carts", "mails"}[i], Candidate: 2, Instances: rapid.IntRange(1, 7).Draw(t, "instances"), Worker: flag("worker"),
			Hooks: rollout.Hooks{Release: hook("release"), PreTraffic: hook("preTraffic"), PostTraffic: hook("postTraffic"), OnRollback: hook("onRollback")},
		}
		m.Function = !m.Worker && flag("function")
		if !m.Worker {
			m.Alarms = []analysis.Alarm{{Name: "errors"}}
		}
		p.Members = append(p.Members, m)
	}
	weights := rapid.SliceOfN(rapid.IntRange(0, 9999), 0, 3).Draw(t, "weights")
	slices.Sort(weights)
	for _, w := range append(weights, int(rollout.Full)) {
		step := rollout.Step{Weight: rollout.Weight(w), Hold: seconds(t, "hold", 0, 60), Approve: flag("approve")}
		if flag("stepHook") {
			step.Hook = "./step"
		}
		p.Steps = append(p.Steps, step)
	}
	p.Waves = rapid.SampledFrom([]int{0, 0, 1, 1, 2}).Draw(t, "waves")
	p.From = rapid.IntRange(0, len(p.Steps)-1).Draw(t, "from")
	return p
}

// wild makes up what is seen: anything goes.
func (g *game) wild() {
	t := g.t
	often := func(name string, n int) bool { return rapid.IntRange(1, n).Draw(t, name) > 1 }
	g.now = g.now.Add(seconds(t, "passes", 0, 20))
	g.seen.Ahead = !often("alone", 5)
	g.seen.Commands, g.seen.Hooks = nil, nil
	if !often("obeyed", 3) {
		g.obey(often("well", 3))
	} else {
		g.wildMembers(often)
	}
	for _, h := range g.state.Hooks {
		if often("silentHook", 2) {
			continue
		}
		if g.seen.Hooks == nil {
			g.seen.Hooks = map[string]rollout.HookResult{}
		}
		g.seen.Hooks[h.Key] = rapid.SampledFrom([]rollout.HookResult{{}, {}, {}, {Running: true}, {Exit: 1}, {TimedOut: true}, {Lost: true}}).Draw(t, "hook")
	}
	g.seen.Newer = nil
	if !often("noNewer", 12) {
		g.seen.Newer = &rollout.Newer{
			Rollout: 8, Release: 43, Covers: often("covers", 3), Urgent: !often("urgent", 4),
			Overlap: rapid.SampledFrom([]rollout.Overlap{rollout.OverlapNext, rollout.OverlapSupersede, rollout.OverlapQueue, rollout.OverlapReject}).Draw(t, "overlap"),
		}
	}
	if !often("noCommand", 4) {
		verbs := []rollout.Verb{rollout.PauseVerb, rollout.Resume, rollout.Resume, rollout.Promote, rollout.Promote, rollout.PromoteFull, rollout.SetWeight, rollout.Retry, rollout.Abort, "dance"}
		for range rapid.IntRange(1, 2).Draw(t, "commands") {
			g.ask(rollout.Command{
				Verb: rapid.SampledFrom(verbs).Draw(t, "verb"), Weight: rollout.Weight(rapid.IntRange(-1, 10001).Draw(t, "weight")),
				Step: rapid.IntRange(-1, 4).Draw(t, "step"), For: seconds(t, "for", 0, 30),
			})
		}
	}
	g.seen.Unwatched = time.Time{}
	if !often("seen", 8) {
		g.seen.Members = nil
		if !often("watched", 3) {
			g.seen.Unwatched = g.now.Add(-seconds(t, "unwatched", 0, 40))
		}
	}
}

func (g *game) wildMembers(often func(string, int) bool) {
	t := g.t
	before := g.seen.Members
	wish := g.state.Wish(g.plan)
	g.seen.Members = make([]rollout.MemberSeen, len(g.plan.Members))
	for i := range g.plan.Members {
		n := g.plan.Members[i].Instances
		m := rollout.MemberSeen{
			Stable: rapid.SampledFrom([]rollout.Version{1, 1, 1, 0, 2}).Draw(t, "stable"), Ready: rapid.IntRange(0, n).Draw(t, "ready"),
			StableReady: n, Served: -1, Open: rapid.IntRange(0, 1).Draw(t, "open"),
		}
		m.Same = g.state.Phase == rollout.Queued && m.Stable == 1 && !often("differs", 8)
		m.Exclusive = g.exclusive(i)
		m.Free = rapid.Bool().Draw(t, "free")
		if before != nil {
			m.Invoked = before[i].Invoked + uint64(rapid.IntRange(0, 8).Draw(t, "invoked"))
			m.Restarts = before[i].Restarts + rapid.IntRange(0, 10).Draw(t, "restarts")/10
		}
		if wish.Members != nil && often("serves", 3) {
			m.Served = wish.Members[i].Weight
		}
		if !often("stableWell", 5) {
			m.StableReady = rapid.IntRange(0, n).Draw(t, "stableReady")
		}
		if !often("starts", 30) {
			m.Failure = "exit 1"
		}
		if !often("notRefused", 20) {
			m.Refused = "rolled back before"
		}
		if !often("busy", 6) {
			m.Idle = 10 * time.Minute
		}
		for _, alarm := range []string{"errors", "latency"} {
			if !often("reads", 4) {
				continue
			}
			r := rollout.MemberSeen{}.Readings
			r = append(r, analysis.Reading{
				Alarm: alarm, Abstains: !often("armed", 8), Text: alarm,
				Verdict:  rapid.SampledFrom([]analysis.Verdict{analysis.Pass, analysis.Pass, analysis.Pass, analysis.Pass, "", analysis.NoData, analysis.Inconclusive, analysis.Fail}).Draw(t, "verdict"),
				Reaction: rapid.SampledFrom([]analysis.Reaction{analysis.ReactRollback, analysis.ReactPause, analysis.ReactNotify}).Draw(t, "reaction"),
			})
			if !often("up", 10) {
				r[0].Verdict, r[0].Err = "", "down"
			}
			m.Readings = append(m.Readings, r...)
		}
		g.seen.Members[i] = m
	}
}

// obey lets the world be as wished, and the alarms pass, or fail.
func (g *game) obey(well bool) {
	verdict := analysis.Pass
	if !well {
		verdict = analysis.Fail
	}
	wish := g.state.Wish(g.plan)
	before := g.seen.Members
	g.seen = rollout.Seen{Members: make([]rollout.MemberSeen, len(g.plan.Members)), Hooks: map[string]rollout.HookResult{}}
	for i, m := range g.plan.Members {
		s := rollout.MemberSeen{Exclusive: g.exclusive(i), Stable: 1, StableReady: m.Instances, Readings: []analysis.Reading{{Alarm: "errors", Verdict: verdict, Reaction: analysis.ReactRollback, Text: "errors"}}}
		if before != nil {
			s.Restarts, s.Invoked = before[i].Restarts, before[i].Invoked+3
		}
		if wish.Members != nil {
			s.Ready, s.Served = wish.Members[i].CandidateInstances, wish.Members[i].Weight
			if wish.Members[i].Exclusive {
				s.StableReady = wish.Members[i].StableInstances
				s.Free = s.Ready+s.StableReady == 0
			}
		}
		g.seen.Members[i] = s
	}
	for _, h := range g.state.Hooks {
		g.seen.Hooks[h.Key] = rollout.HookResult{}
	}
}

func (g *game) ask(c rollout.Command) {
	g.command++
	c.ID, c.By = g.command, "ada"
	g.seen.Commands = append(g.seen.Commands, c)
}

// look looks, and checks.
func (g *game) look() {
	g.t.Helper()
	before := g.state
	var err error
	if g.state, err = next(g.plan, before, g.seen, g.now); err != nil {
		g.t.Fatalf("%v\nplan   %s\nbefore %s\nseen   %s\nafter  %s", err, encode(g.plan), encode(before), encode(g.seen), encode(g.state))
	}
	if move := string(before.Phase) + " --> " + string(g.state.Phase); before.Phase != g.state.Phase && !g.allowed[move] {
		g.t.Fatalf("docs/life-of-a-release.md does not show %s", move)
	}
	g.checkHeld(before)
}

// checkHeld holds that no time counts as hold or bake in which the weight was not
// served, or could not be measured (R12, R13, R20).
func (g *game) checkHeld(before rollout.State) {
	g.t.Helper()
	if g.counts {
		g.held += g.now.Sub(g.looked)
	}
	after := &g.state
	byItself := after.Command == before.Command && !after.NoBaseline
	switch {
	case !byItself:
	case before.Phase == rollout.Shifting && (after.Phase == rollout.Baking || after.Phase == rollout.Shifting && after.Step > before.Step):
		if hold := g.plan.Steps[before.Step].Hold; g.held < hold {
			g.t.Fatalf("step %d was held %s of %s", before.Step+1, g.held, hold)
		}
	case before.Phase == rollout.Baking && after.Outcome == rollout.Promoted && g.seen.Newer == nil:
		if g.held < g.plan.Bake {
			g.t.Fatalf("it baked %s of %s", g.held, g.plan.Bake)
		}
		g.checkInvoked()
	}
	if !after.Began.Equal(before.Began) {
		g.invoked = nil
		for _, m := range g.seen.Members {
			g.invoked = append(g.invoked, m.Invoked)
		}
	}
	if after.Arrived.IsZero() || after.Phase != before.Phase {
		g.held = 0
	}
	g.looked, g.counts = g.now, !after.Arrived.IsZero() && g.measurable()
}

// checkInvoked holds that no function is promoted by time alone (R11).
func (g *game) checkInvoked() {
	g.t.Helper()
	for i, m := range g.plan.Members {
		if !m.Function || g.state.Stable[i] == m.Candidate || g.state.Stable[i] == 0 || g.state.Unmoved(i) {
			continue
		}
		if len(g.seen.Members) == 0 || g.seen.Members[i].Invoked < g.invoked[i]+20 && g.held < 7*24*time.Hour {
			g.t.Fatalf("R11: %s was promoted after %s with %d invocations, %d before", m.Workload, g.held, g.seen.Members[i].Invoked, g.invoked[i])
		}
	}
}

// measurable reports whether the weight is served and its alarms' source is up.
func (g *game) measurable() bool {
	wish := g.state.Wish(g.plan)
	for i, m := range g.seen.Members {
		if wish.Members[i].Stable == wish.Members[i].Candidate || g.state.Unmoved(i) {
			continue
		}
		down := slices.ContainsFunc(m.Readings, func(r analysis.Reading) bool { return r.Err != "" })
		if !g.plan.Members[i].Worker && m.Served != wish.Members[i].Weight || down && g.state.Weight > 0 && !g.state.NoBaseline {
			return false
		}
	}
	return len(g.seen.Members) > 0
}

// settle plays on in a world that obeys, with a person who answers when asked.
func (g *game) settle(well bool) {
	g.t.Helper()
	var story []string
	for range 400 {
		if g.state.Phase == rollout.Ended {
			return
		}
		g.obey(well)
		wait := rollout.Waiting(g.plan, g.state, g.seen, g.now)
		if wait.Person || g.state.Pause != nil {
			g.ask(rollout.Command{Verb: rollout.Promote})
		}
		g.look()
		story = append(story, fmt.Sprintf("%s %s %s: %s; %+v", g.now.Format(time.TimeOnly), g.state.Phase, g.state.Weight, g.state.Why, wait))
		g.now = g.now.Add(5 * time.Second)
	}
	g.t.Fatalf("did not end:\n%v\n%s", story[len(story)-3:], encode(g.state))
}
