package controller_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"titrate/internal/controller"
	"titrate/internal/rollout"
	"titrate/internal/store"
	"titrate/internal/world"
)

func TestR19_afterACrashTheSameWorldIsWantedAndTheRolloutGoesOn(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	h := &hands{rps: 1000, failing: map[string]float64{}, broken: map[string]string{}}
	p := openPlace(t, folder, h, time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC))
	p.first()
	d := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	p.until("it has traffic", func() bool { return p.rollout(d.Rollouts[0]).State.Weight > 0 })
	before := p.Wanted()
	if err := p.store.Close(); err != nil {
		t.Fatal(err)
	}

	p = openPlace(t, folder, h, p.now)
	after := p.Wanted()
	if !before.Stamp.Less(after.Stamp) || after.Stamp.Token <= before.Stamp.Token {
		t.Errorf("stamp %+v after %+v", after.Stamp, before.Stamp)
	}
	after.Stamp = before.Stamp
	if a, b := string(mustJSON(t, after)), string(mustJSON(t, before)); a != b {
		t.Errorf("wanted before: %s\nafter: %s", b, a)
	}
	p.ended(d.Rollouts[0], rollout.Promoted)
}

func TestR18_revisionsOnlyGrow(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	p.promote(2)
	for i := 1; i < len(p.hands.stamps); i++ {
		if !p.hands.stamps[i-1].Less(p.hands.stamps[i]) {
			t.Fatalf("%+v after %+v", p.hands.stamps[i], p.hands.stamps[i-1])
		}
	}
	if n := len(p.hands.stamps); n < 10 {
		t.Errorf("only %d worlds", n)
	}
}

func TestR18_theHolderOfAnOlderLeaseStops(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	h := &hands{rps: 1000, failing: map[string]float64{}, broken: map[string]string{}}
	a := openPlace(t, folder, h, time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC))
	a.first()
	a.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	a.tick()
	// The lease goes to another while the first still believes that it has it.
	other, err := store.Open(t.Context(), store.Options{Folder: folder, Lock: folder + "/other-lock", Reserve: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	b := controller.New(controller.Config{Store: other, Target: target{h, a}, Router: target{h, a}, Meter: target{h, a}})
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Observe(h.seen(a.now))
	if _, err := b.Step(t.Context(), a.now); err != nil {
		t.Fatal(err)
	}
	var last error
	for range 30 {
		a.now = a.now.Add(time.Second)
		a.Observe(h.seen(a.now))
		if _, last = a.Step(t.Context(), a.now); last != nil {
			break
		}
	}
	if !errors.Is(last, rollout.ErrFenced) && !errors.Is(last, world.ErrStale) {
		t.Errorf("the older holder went on: %v", last)
	}
	if h.wanted.Stamp.Token < 2 {
		t.Errorf("the older holder's world is wanted: %+v", h.wanted.Stamp)
	}
}

func TestStep_afterAConflictDecidesOnWhatIsStored(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	d := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	id := d.Rollouts[0]
	p.until("it has traffic", func() bool { return p.rollout(id).State.Weight > 0 })
	// Someone stores another state behind the controller's back.
	r := p.rollout(id)
	after := r.State
	after.Why = "behind the controller's back"
	err := p.store.Commit(t.Context(), rollout.Change{Token: 1, Looks: []rollout.Look{{
		Rollout: id, Sequence: r.Revision, Core: rollout.CoreVersion, At: p.now, Before: r.State, After: after,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	conflicts := 0
	for range 60 {
		p.now = p.now.Add(time.Second)
		p.Measure(p.hands.windows(p.now))
		p.Observe(p.hands.seen(p.now))
		if _, err := p.Step(t.Context(), p.now); errors.Is(err, rollout.ErrConflict) {
			conflicts++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if conflicts != 1 {
		t.Errorf("%d conflicts", conflicts)
	}
	p.ended(id, rollout.Promoted)
}

func TestR12_aMeterThatCannotBeReadHolds(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	d := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	id := d.Rollouts[0]
	p.until("it has traffic", func() bool { return p.rollout(id).State.Weight > 0 })
	p.Blind(errors.New("connection refused"))
	weight := p.rollout(id).State.Weight
	for range 60 {
		p.tick()
	}
	if r := p.rollout(id); r.State.Weight != weight || r.State.Over() {
		t.Errorf("%+v", r.State)
	}
	p.Blind(nil)
	p.ended(id, rollout.Promoted)
}

func TestR13_onlyATableThatWasAskedForCounts(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	d := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	id := d.Rollouts[0]
	p.until("it has traffic", func() bool { return p.rollout(id).State.Weight > 0 })
	// From now on the router shows the table of before, which is late.
	seen, served := p.hands.seen(p.now)
	served.Stamp.Revision--
	for range 20 {
		p.now = p.now.Add(time.Second)
		seen.Sequence += 100
		p.Observe(seen, served)
		if _, err := p.Step(t.Context(), p.now); err != nil {
			t.Fatal(err)
		}
	}
	if r := p.rollout(id); !r.State.Arrived.IsZero() {
		t.Errorf("a late table made the weight arrive: %+v", r.State)
	}
}

func TestObserve_lateAndRepeatedObservationsDoNoHarm(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	d := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	var old []func()
	for len(p.Live()) > 0 {
		seen, served := p.hands.seen(p.now)
		windows := p.hands.windows(p.now)
		p.tick()
		old = append(old, func() { p.Observe(seen, served); p.Measure(windows) })
		if len(old) > 5 {
			old[len(old)-4]()
			old[len(old)-1]()
		}
		if len(old) > 3600 {
			t.Fatal("it does not end")
		}
	}
	p.ended(d.Rollouts[0], rollout.Promoted)
}

func TestStep_hooksRunWithTheCandidatesEnvironment(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	text := strings.Replace(cofe, "route: /orders", "route: /orders, env: { A: b }, hooks: { preTraffic: ./smoke }", 1)
	d := p.deliver(text, map[string]string{"orders": "o1", "payments": "p1"})
	p.until("the hook is asked for", func() bool { return len(p.Wanted().Hooks) == 1 })
	h := p.Wanted().Hooks[0]
	if h.Command != "./smoke" || h.Fleet.Artifact != "o1" || h.Fleet.Env["A"] != "b" || h.Timeout != 5*time.Minute || h.Rollout != d.Rollouts[0] {
		t.Errorf("%+v", h)
	}
	p.hands.hooks[h.Key] = rollout.HookResult{Exit: 1, Log: "no"}
	p.ended(d.Rollouts[0], rollout.Failed)
}

// Fellow services have its name for a service before it runs.
func TestWanted_portsOfWhatDoesNotRunYet(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	text := strings.Replace(cofe, "route: /orders", "route: /orders, port: 3000, hooks: { release: ./migrate }", 1)
	p.deliver(text, map[string]string{"orders": "o1", "payments": "p1"})
	p.until("the hook is asked for", func() bool { return len(p.Wanted().Hooks) == 1 })
	got := map[string]string{}
	for _, w := range p.Wanted().Workloads {
		got[w.Key.Workload] = fmt.Sprint(len(w.Fleets), w.Ports)
	}
	if got["orders"] != "0 [3000]" || got["payments"] != "1 [8080]" {
		t.Errorf("%v", got)
	}
}

// TestR24_aRetryKnowsHowTheReleaseHookEnded retries when the node has long
// forgotten the hook: it is not run again, and a person decides.
func TestR24_aRetryKnowsHowTheReleaseHookEnded(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	text := strings.Replace(cofe, "route: /orders", "route: /orders, hooks: { release: ./migrate }", 1)
	d := p.deliver(text, map[string]string{"orders": "o2", "payments": "p1"})
	p.until("the hook is asked for", func() bool { return len(p.Wanted().Hooks) == 1 })
	p.hands.hooks[p.Wanted().Hooks[0].Key] = rollout.HookResult{Exit: 1}
	p.ended(d.Rollouts[0], rollout.Failed)
	clear(p.hands.hooks)
	r, err := p.Command(t.Context(), d.Rollouts[0], rollout.Command{Verb: rollout.Retry, By: "ana"})
	if err != nil {
		t.Fatal(err)
	}
	id := r.Plan.Rollout
	p.until("a person is asked", func() bool { return p.rollout(id).State.Pause != nil })
	if hooks := p.Wanted().Hooks; len(hooks) != 0 {
		t.Errorf("it runs again: %+v", hooks)
	}
	if _, err := p.Command(t.Context(), id, rollout.Command{Verb: rollout.Resume, By: "ana"}); err != nil {
		t.Fatal(err)
	}
	p.ended(id, rollout.Promoted)
	if got, err := p.Replay(t.Context(), id); err != nil || !got.Agrees() {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestExplain_tellsWhyAReleaseWasRefusedAndReplayAgrees(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	p.hands.failing["orders v2"] = 0.3
	d := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	id := d.Rollouts[0]
	p.until("it waits", func() bool { return !p.rollout(id).State.Arrived.IsZero() })
	if _, err := p.Command(t.Context(), id, rollout.Command{Verb: rollout.PauseVerb, By: "ana", Reason: "lunch"}); err != nil {
		t.Fatal(err)
	}
	p.tick()
	e, err := p.Explain(t.Context(), id)
	if err != nil || e.Waits == nil || !strings.Contains(e.Summary, "waits for") {
		t.Errorf("%+v, %v", e, err)
	}
	p.ended(id, rollout.RolledBack)
	e, err = p.Explain(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var story strings.Builder
	for _, s := range e.Story {
		story.WriteString(s.At.Format(time.TimeOnly) + " " + s.Text + "\n")
	}
	t.Log(e.Title, "\n", e.Summary, "\n", story.String(), e.Next)
	for _, want := range []string{"opened by ana", "pause by ana (lunch)", "alarm errors", "turned back"} {
		if !strings.Contains(story.String(), want) {
			t.Errorf("the story does not tell %q", want)
		}
	}
	if e.Evidence == nil || e.Evidence.Alarm != "errors" || !strings.HasPrefix(e.Summary, "rolled-back") {
		t.Errorf("%+v", e)
	}
	for id := int64(1); id <= 3; id++ {
		r, err := p.Replay(t.Context(), id)
		if err != nil || !r.Agrees() || r.Looks == 0 {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

func TestStatus_tellsThreeFactsAndWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	d := p.deliver(cofe, map[string]string{"orders": "o1", "payments": "p1"})
	p.tick()
	if s := p.status("orders"); s.Rollout != d.Rollouts[0] || s.Sync.State != controller.Moving {
		t.Errorf("%+v", s)
	}
	p.settle()
	if s := p.status("orders"); s.Health.State != controller.Healthy || s.Outcome.Outcome != rollout.Promoted || s.Sync.State != controller.AsAsked {
		t.Errorf("%+v", s)
	}
	d = p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	p.until("40 %", func() bool { return p.rollout(d.Rollouts[0]).State.Weight == 4000 })
	for range 5 {
		p.tick()
	}
	s := p.status("orders")
	if s.Waits == nil || s.Waits.For == "" || s.Candidate != 2 || len(s.Versions) != 2 {
		t.Fatalf("%+v", s)
	}
	if v := s.Versions[1]; v.Asked != 4000 || v.Served != 4000 || v.Observed < 0.2 || v.Observed > 0.45 {
		t.Errorf("%+v", v)
	}
	p.Unseen()
	if s := p.status("orders"); s.Health.State != controller.Unknown {
		t.Errorf("%+v", s.Health)
	}
}

// TestRun_drivesARelease lets everything run by itself, with real time.
func TestRun_drivesARelease(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), store.Options{Folder: t.TempDir(), Reserve: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	live := &pacedHands{hands: &hands{rps: 1000}}
	c := controller.New(controller.Config{Store: s, Target: live, Router: live, Meter: live})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	text := strings.NewReplacer("Linear20PercentEvery10Seconds", "AllAtOnce", "bake: 10s", "bake: 0s", "drain: 2s", "drain: 1s").Replace(cofe)
	heard := s.Heard()
	for {
		if _, err := c.Deliver(ctx, delivery(t, text, map[string]string{"orders": "o1", "payments": "p1"})); err == nil {
			break // before the lease is taken it is refused
		}
	}
	tooLate := time.After(time.Minute)
	for len(c.Live()) > 0 {
		select {
		case <-heard:
			heard = s.Heard()
		case <-time.After(100 * time.Millisecond): // the store tells of the end before the memory knows
		case <-tooLate:
			t.Fatalf("it does not end: %+v", c.Live())
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// pacedHands answer a poll with what is there, not more often than a node would.
type pacedHands struct{ *hands }

func (p *pacedHands) Seen(ctx context.Context, _ uint64) (world.Seen, error) {
	pace(ctx)
	s, _ := p.seen(time.Now())
	return s, ctx.Err()
}

func (p *pacedHands) Served(context.Context) (world.Served, error) {
	_, s := p.seen(time.Now())
	return s, nil
}

func (p *pacedHands) Windows(ctx context.Context, _ uint64) ([]world.VersionWindow, error) {
	pace(ctx)
	return p.windows(time.Now()), ctx.Err()
}

func pace(ctx context.Context) {
	t := time.NewTimer(20 * time.Millisecond)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
