package controller_test

import (
	"strings"
	"testing"
	"time"

	"titrate/internal/controller"
	"titrate/internal/rollout"
)

// asWorker makes orders a worker.
func asWorker(text string) string {
	return strings.Replace(text, "build: orders, route: /orders", "build: orders, worker: true", 1)
}

func TestR28_anAbortedPushTakesNoRouteFromWhatRanBeforeIt(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	running := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"}).Rollouts[0]
	p.tick()
	queued := p.deliver(asWorker(cofe), map[string]string{"orders": "o3", "payments": "p1"}).Rollouts[0]
	p.tick()
	if _, err := p.Command(t.Context(), queued, rollout.Command{Verb: rollout.Abort, By: "ana"}); err != nil {
		t.Fatal(err)
	}
	p.ended(running, rollout.Promoted)
	p.tick()
	if !p.hands.answers("orders") {
		t.Errorf("the promoted service v2 has lost its route: %+v", p.status("orders"))
	}
}

func TestR5_anAbortedPushTakesNoInstancesFromWhatRanBeforeIt(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	big := strings.Replace(cofe, "scale: 2", "scale: 8", 1)
	for _, id := range p.deliver(big, map[string]string{"orders": "o1", "payments": "p1"}).Rollouts {
		p.ended(id, rollout.Promoted)
	}
	running := p.deliver(big, map[string]string{"orders": "o2", "payments": "p1"}).Rollouts[0]
	p.tick()
	queued := p.deliver(cofe, map[string]string{"orders": "o3", "payments": "p1"}).Rollouts[0]
	p.tick()
	if _, err := p.Command(t.Context(), queued, rollout.Command{Verb: rollout.Abort, By: "ana"}); err != nil {
		t.Fatal(err)
	}
	p.until("promoted", func() bool { return p.rollout(running).State.Over() })
	p.settle()
	p.tick()
	if n := p.hands.fleets("orders")[2].Count; n != 8 {
		t.Errorf("v2, planned with 8, has %d", n)
	}
}

func TestR28_aRollbackAfterAFailedWorkerAnswers(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	p.promote(2)
	p.hands.broken["orders v3"] = "exit 1"
	p.ended(p.deliver(asWorker(cofe), map[string]string{"orders": "o3", "payments": "p1"}).Rollouts[0], rollout.Failed)
	if !p.hands.answers("orders") {
		t.Fatal("lost already")
	}
	back, err := p.Rollback(t.Context(), controller.Scope{App: "cofe", Env: "production", Workload: "orders"}, controller.Destination{}, "ana")
	if err != nil {
		t.Fatal(err)
	}
	p.ended(back.Rollouts[0], rollout.Promoted)
	p.tick()
	if !p.hands.answers("orders") {
		t.Errorf("rolled back to service v1, it answers no more: split %s", p.hands.split("orders"))
	}
}

func TestR9_aRetryOfAServiceIsNotJudgedAsAWorker(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	p.hands.failing["orders v2"] = 0.3
	bad := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"}).Rollouts[0]
	p.ended(bad, rollout.RolledBack)
	p.hands.broken["orders v3"] = "exit 1"
	p.ended(p.deliver(asWorker(cofe), map[string]string{"orders": "o3", "payments": "p1"}).Rollouts[0], rollout.Failed)
	r, err := p.Command(t.Context(), bad, rollout.Command{Verb: rollout.Retry, By: "ana"})
	if err != nil {
		t.Fatal(err)
	}
	p.settle()
	again := p.rollout(r.Plan.Rollout)
	if again.State.Outcome != rollout.RolledBack || !p.hands.answers("orders") {
		t.Errorf("30 %% of its requests fail: %s (%s); worker %t, alarms %v, answers %t", again.State.Outcome, again.State.Why, again.Plan.Members[0].Worker, again.Plan.Members[0].Alarms, p.hands.answers("orders"))
	}
}

func TestR13_restartsInARowCountNoTimeTwice(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := openPlace(t, folder, newPlace(t).hands, began)
	id := baking(t, p)
	before := p.now
	for range 20 { // for 40 s the server restarts every 2 s
		if err := p.store.Close(); err != nil {
			t.Fatal(err)
		}
		p = openPlace(t, folder, p.hands, p.now)
		p.tick()
		p.tick()
	}
	s := p.rollout(id).State
	// What lay between the first restart and the last that was stored before counts too.
	if took := p.now.Sub(before); s.Gap > took+5*time.Second {
		t.Errorf("in %s there are %s of gap", took, s.Gap)
	}
}

func TestR24_aHookMayEndWhileNobodyWatches(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	text := strings.Replace(cofe, "route: /orders", "route: /orders, hooks: { preTraffic: ./smoke }", 1)
	id := p.deliver(text, map[string]string{"orders": "o2", "payments": "p1"}).Rollouts[0]
	p.until("its hook runs", func() bool { return len(p.Wanted().Hooks) == 1 })
	key := p.Wanted().Hooks[0].Key
	p.hands.hooks[key] = rollout.HookResult{Running: true}
	p.tick()
	p.hands.hooks[key] = rollout.HookResult{} // exit 0, a second later
	p.now = p.now.Add(10 * time.Minute)
	p.tick()
	p.tick()
	if s := p.rollout(id).State; s.Pause != nil {
		t.Errorf("%s", s.Why)
	}
}

func TestR14_aCandidateMayComeUpWhileNobodyWatches(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	p.hands.silent = map[string]bool{"orders v2": true}
	id := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"}).Rollouts[0]
	p.tick()
	p.tick()
	p.hands.silent = nil
	p.now = p.now.Add(3 * time.Minute)
	p.ended(id, rollout.Promoted)
}

func TestR28_oneOfTwoEnvironmentsOnAHost(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	text := `titrate: 1
app: cofe
services:
  web: { build: web }
environments:
  production: { services: { web: { host: cofe.localhost, route: / } } }
  beta: { services: { web: { host: cofe.localhost, route: /beta } } }
`
	d := delivery(t, text, map[string]string{"web": "w1"})
	d.Envs = []string{"production", "beta"}
	if _, err := p.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	p.settle()
	d = delivery(t, text, map[string]string{"web": "w2"})
	d.Envs = []string{"beta"}
	if _, err := p.Deliver(t.Context(), d); err != nil {
		t.Error(err)
	}
}

func TestR28_theOtherOfTwoEnvironmentsOnAHost(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	text := `titrate: 1
app: cofe
services:
  web: { build: web }
environments:
  production: { deploy: main, services: { web: { host: cofe.localhost, route: / } } }
  beta: { deploy: beta, services: { web: { host: cofe.localhost, route: /beta } } }
`
	d := delivery(t, text, map[string]string{"web": "w1"})
	d.Envs = []string{"production", "beta"}
	if _, err := p.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	p.settle()
	d = delivery(t, text, map[string]string{"web": "w2"})
	if _, err := p.Deliver(t.Context(), d); err != nil {
		t.Error(err)
	}
}

func TestR2_aNewMemberOfAGroupHasNothingToCompareWith(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	text := strings.Replace(cofe, "errors: 5xx > 1% for 2s", "latency: p99 > 2x stable for 2s", 1) + "together: [orders, carts]\n"
	one := strings.Replace(text, "together: [orders, carts]\n", "", 1)
	for _, id := range p.deliver(one, map[string]string{"orders": "o1", "payments": "p1"}).Rollouts {
		p.ended(id, rollout.Promoted)
	}
	for range 60 {
		p.tick()
	}
	two := strings.Replace(text, "  payments:", "  carts: { build: carts, route: /carts }\n  payments:", 1)
	id := p.deliver(two, map[string]string{"orders": "o2", "payments": "p1", "carts": "c1"}).Rollouts[0]
	if n := len(p.rollout(id).Plan.Members); n != 2 {
		t.Fatalf("%d members", n)
	}
	for range 1200 {
		p.tick()
	}
	if s := p.rollout(id).State; s.Outcome != rollout.Promoted {
		t.Errorf("after 20 min: %s %s %s, unjudged since %s", s.Phase, s.Weight, s.Why, s.Unjudged)
	}
}

func TestR28_aWorkerTakesNoPlaceBeforeItAnswers(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	before := cofe + "  jobs: { build: jobs, worker: true }\n"
	for _, id := range p.deliver(before, map[string]string{"orders": "o1", "payments": "p1", "jobs": "j1"}).Rollouts {
		p.ended(id, rollout.Promoted)
	}
	p.hands.broken["jobs v2"] = "exit 1"
	after := strings.Replace(cofe, "  orders: { build: orders, route: /orders, scale: 2 }\n", "", 1) + "  jobs: { build: jobs, route: /orders }\n"
	p.deliver(after, map[string]string{"payments": "p1", "jobs": "j2"})
	p.tick()
	if !p.hands.answers("orders") {
		t.Errorf("orders lost its place to jobs, split %s, which is a worker still", p.hands.split("jobs"))
	}
}

func TestR5_whatIsPromotedHasItsOwnSettingsThoughAnotherWaits(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	big := strings.Replace(cofe, "scale: 2", "scale: 8", 1)
	for _, id := range p.deliver(big, map[string]string{"orders": "o1", "payments": "p1"}).Rollouts {
		p.ended(id, rollout.Promoted)
	}
	w := asWorker(cofe)
	b := p.deliver(w, map[string]string{"orders": "o2", "payments": "p1"}).Rollouts[0]
	p.tick()
	p.hands.broken["orders v3"] = "exit 1"
	c := p.deliver(w, map[string]string{"orders": "o3", "payments": "p1"}).Rollouts[0]
	p.until("b", func() bool { return p.rollout(b).State.Over() })
	p.ended(c, rollout.Failed)
	p.ended(b, rollout.Promoted)
	p.tick()
	if p.hands.answers("orders") || p.hands.fleets("orders")[2].Count != 2 {
		t.Errorf("v2, a promoted worker with one instance, has %d and answers %t", p.hands.fleets("orders")[2].Count, p.hands.answers("orders"))
	}
}

func TestR8_backToTheWorkerThatItWas(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	before := cofe + "  jobs: { build: jobs, worker: true }\n"
	after := cofe + "  jobs: { build: jobs, route: /jobs }\n"
	for _, id := range p.deliver(before, map[string]string{"orders": "o1", "payments": "p1", "jobs": "j1"}).Rollouts {
		p.ended(id, rollout.Promoted)
	}
	p.ended(p.deliver(after, map[string]string{"orders": "o1", "payments": "p1", "jobs": "j2"}).Rollouts[0], rollout.Promoted)
	back, err := p.Rollback(t.Context(), controller.Scope{App: "cofe", Env: "production", Workload: "jobs"}, controller.Destination{}, "ana")
	if err != nil {
		t.Fatal(err)
	}
	id := back.Rollouts[0]
	for range 2000 {
		p.tick()
	}
	s := p.rollout(id).State
	if s.Outcome != rollout.Promoted {
		t.Errorf("after 33 min: %s %s %s; split %s", s.Phase, s.Weight, s.Why, p.hands.split("jobs"))
	}
}

func TestR23_aRetryOfADissolvedGroupGoesByItsOwnPlan(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	group := cofe + "together: [orders, payments]\n"
	for _, id := range p.deliver(group, map[string]string{"orders": "o1", "payments": "p1"}).Rollouts {
		p.ended(id, rollout.Promoted)
	}
	p.hands.failing["payments v2"] = 0.5
	old := p.deliver(group, map[string]string{"orders": "o2", "payments": "p2"}).Rollouts[0]
	p.ended(old, rollout.RolledBack)
	apart := strings.Replace(cofe, "build: orders,", "build: orders, rollout: AllAtOnce,", 1)
	p.deliver(apart, map[string]string{"orders": "o1", "payments": "p1"})
	p.settle()
	r, err := p.Command(t.Context(), old, rollout.Command{Verb: rollout.Retry, By: "ana"})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Plan.Steps) == 1 {
		t.Errorf("payments, which is Linear20Percent in both manifests, is to move by %s %+v with %d members", r.Plan.Strategy, r.Plan.Steps, len(r.Plan.Members))
	}
}

func TestR1_whatStaysIsAsAskedThoughItsGroupIsRefused(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	text := cofe + "together: [orders, payments]\n"
	for _, id := range p.deliver(text, map[string]string{"orders": "o1", "payments": "p1"}).Rollouts {
		p.ended(id, rollout.Promoted)
	}
	p.hands.failing["orders v2"] = 0.3
	p.hands.failing["payments v3"] = 0.3
	a := p.deliver(text, map[string]string{"orders": "o2", "payments": "p2"}).Rollouts[0]
	p.tick()
	b := p.deliver(text, map[string]string{"orders": "o1", "payments": "p3"}).Rollouts[0]
	p.ended(a, rollout.RolledBack)
	p.until("b shifts", func() bool { return p.rollout(b).State.Over() })
	p.settle()
	s := p.status("orders")
	if s.Sync.State != controller.AsAsked {
		t.Error("orders runs what was pushed")
	}
}
