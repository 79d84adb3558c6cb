package controller_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"titrate/internal/controller"
	"titrate/internal/rollout"
)

// urgently delivers like deliver, but what runs is superseded.
func (p *place) urgently(text string, artifacts map[string]string) controller.Delivered {
	p.t.Helper()
	d := delivery(p.t, text, artifacts)
	d.Urgent = true
	got, err := p.Deliver(p.t.Context(), d)
	if err != nil {
		p.t.Fatal(err)
	}
	return got
}

// TestR3_urgencyOutlivesTheReleaseThatHadIt pushes twice behind a rollout that
// cannot give way yet, because its hook runs: urgently, and then as usual.
func TestR3_urgencyOutlivesTheReleaseThatHadIt(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	text := strings.Replace(cofe, "route: /orders", "route: /orders, hooks: { preTraffic: ./smoke }", 1)
	running := p.deliver(text, map[string]string{"orders": "o2", "payments": "p1"}).Rollouts[0]
	p.until("its hook runs", func() bool { return len(p.Wanted().Hooks) == 1 })
	key := p.Wanted().Hooks[0].Key
	p.hands.hooks[key] = rollout.HookResult{Running: true}
	urgent := p.urgently(text, map[string]string{"orders": "o3", "payments": "p1"}).Rollouts[0]
	p.tick()
	p.deliver(text, map[string]string{"orders": "o4", "payments": "p1"})
	p.until("the newest alone waits", func() bool { return p.rollout(urgent).State.Outcome == rollout.Superseded })
	p.hands.hooks[key] = rollout.HookResult{}
	p.until("the running one ends", func() bool { return p.rollout(running).State.Over() })
	if s := p.rollout(running).State; s.Outcome != rollout.Superseded {
		t.Errorf("%s: %s", s.Outcome, s.Why)
	}
}

// TestR3_urgencyOfAnyThatWaits has an urgent release in a queue, and another
// behind it.
func TestR3_urgencyOfAnyThatWaits(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	text := cofe + "environments:\n  production: { overlap: queue }\n"
	for _, id := range p.deliver(text, map[string]string{"orders": "o1", "payments": "p1"}).Rollouts {
		p.ended(id, rollout.Promoted)
	}
	running := p.deliver(text, map[string]string{"orders": "o2", "payments": "p1"}).Rollouts[0]
	urgent := p.urgently(text, map[string]string{"orders": "o3", "payments": "p1"}).Rollouts[0]
	last := p.deliver(text, map[string]string{"orders": "o4", "payments": "p1"}).Rollouts[0]
	p.ended(running, rollout.Superseded)
	p.ended(urgent, rollout.Promoted)
	p.ended(last, rollout.Promoted)
}

// TestR3_waitsAndBecomesUrgent pushes what waits again, urgently this time.
func TestR3_waitsAndBecomesUrgent(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	running := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"}).Rollouts[0]
	for range 15 {
		p.tick()
	}
	waits := p.deliver(cofe, map[string]string{"orders": "o3", "payments": "p1"}).Rollouts[0]
	p.tick()
	again := p.urgently(cofe, map[string]string{"orders": "o3", "payments": "p1"})
	if what := effects(again)["orders"]; what != controller.Opens {
		t.Fatalf("pushed again urgently, it is %s", what)
	}
	p.ended(running, rollout.Superseded)
	p.ended(waits, rollout.Superseded)
	p.ended(again.Rollouts[0], rollout.Promoted)
	if v := p.rollout(again.Rollouts[0]).Plan.Members[0].Candidate; v != 3 {
		t.Errorf("the same artifact became %s", v)
	}
}

// TestR3_urgentPushIsNotJoined pushes a commit urgently while it is being built.
func TestR3_urgentPushIsNotJoined(t *testing.T) {
	t.Parallel()
	building, built := make(chan struct{}, 2), make(chan struct{})
	r := run(t, t.TempDir(), builder(func(ctx context.Context, b controller.BuildRequest) (map[string]rollout.Artifact, error) {
		building <- struct{}{}
		<-built
		return builds(ctx, b)
	}))
	ended := make(chan error, 2)
	go func() {
		_, err := r.push(t, aPush("c1"), io.Discard)
		ended <- err
	}()
	<-building
	p := aPush("c1")
	p.Urgent = true
	go func() {
		_, err := r.Push(t.Context(), p, io.Discard)
		ended <- err
	}()
	for stored := false; !stored && t.Context().Err() == nil; {
		_, err := r.store.Push(t.Context(), 2)
		stored = err == nil
	}
	close(built)
	<-building
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if p, err := r.store.Push(t.Context(), 2); err != nil || !p.Urgent {
		t.Errorf("%+v, %v", p, err)
	}
}
