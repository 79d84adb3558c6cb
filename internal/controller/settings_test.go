package controller_test

import (
	"strings"
	"testing"

	"titrate/internal/rollout"
)

func TestR5_aPushThatAlsoLowersTheScaleTakesNothingFromStable(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	h := &hands{rps: 1000, broken: map[string]string{"orders v2": "exit 1"}}
	p := openPlace(t, folder, h, newPlace(t).now)
	big := strings.Replace(cofe, "scale: 2", "scale: 8", 1)
	for _, id := range p.deliver(big, map[string]string{"orders": "o1", "payments": "p1"}).Rollouts {
		p.ended(id, rollout.Promoted)
	}
	has := func(v rollout.Version, n int) {
		t.Helper()
		p.tick()
		if f := p.hands.fleets("orders")[v].Count; f != n {
			t.Errorf("%s has %d instances, want %d; split %s", v, f, n, p.hands.split("orders"))
		}
	}
	d := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	has(1, 8)
	p.ended(d.Rollouts[0], rollout.Failed)
	has(1, 8)
	p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"}) // refused: nothing moves
	has(1, 8)
	if err := p.store.Close(); err != nil {
		t.Fatal(err)
	}
	p = openPlace(t, folder, h, p.now)
	has(1, 8)

	d = p.deliver(cofe, map[string]string{"orders": "o3", "payments": "p1"})
	p.until("it bakes", func() bool { return p.rollout(d.Rollouts[0]).State.Phase == rollout.Baking })
	has(1, 8)
	p.ended(d.Rollouts[0], rollout.Promoted)
	has(3, 2)

	p.deliver(big, map[string]string{"orders": "o3", "payments": "p1"})
	has(3, 8)
	p.deliver(cofe, map[string]string{"orders": "o3", "payments": "p1"}) // of the stable version itself
	has(3, 2)
}

func TestR5_theScaleOfAReleaseThatWaitsIsNotThatOfTheOneBefore(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	big := strings.Replace(cofe, "scale: 2", "scale: 8", 1)
	for _, id := range p.deliver(big, map[string]string{"orders": "o1", "payments": "p1"}).Rollouts {
		p.ended(id, rollout.Promoted)
	}
	first := p.deliver(big, map[string]string{"orders": "o2", "payments": "p1"}).Rollouts[0]
	p.tick()
	waits := p.deliver(cofe, map[string]string{"orders": "o3", "payments": "p1"}).Rollouts[0]
	p.until("the first is promoted", func() bool { return p.rollout(first).State.Over() })
	p.until("the other has all traffic", func() bool {
		if n := p.hands.fleets("orders")[2].Count; n != 8 && !p.rollout(waits).State.Over() {
			t.Fatalf("stable has %d instances with %s", n, p.hands.split("orders"))
		}
		return p.rollout(waits).State.Over()
	})
	p.settle()
	if n := p.hands.fleets("orders")[3].Count; n != 2 {
		t.Errorf("%d instances", n)
	}
}

func TestR28_aServiceThatBecomesAWorkerKeepsItsTrafficUntilPromoted(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	worker := strings.Replace(cofe, "build: orders, route: /orders", "build: orders, worker: true", 1)
	keeps := func(what string) {
		t.Helper()
		if !p.hands.answers("orders") || p.hands.split("orders") != "v1 100 %" {
			t.Fatalf("%s: its traffic is %s", what, p.hands.split("orders"))
		}
	}
	p.hands.broken["orders v2"] = "exit 1"
	failing := p.deliver(worker, map[string]string{"orders": "o2", "payments": "p1"})
	p.until("it failed", func() bool { p.tick(); keeps("it does not start"); return len(p.Live()) == 0 })
	p.ended(failing.Rollouts[0], rollout.Failed)
	keeps("it failed")

	d := p.deliver(worker, map[string]string{"orders": "o3", "payments": "p1"})
	id := d.Rollouts[0]
	p.until("it is promoted", func() bool { p.tick(); keeps("it runs beside"); return p.rollout(id).State.Phase == rollout.Baking })
	p.ended(id, rollout.Promoted)
	if p.hands.answers("orders") {
		t.Error("a worker answers")
	}
}

func TestR28_theRouteOfAServiceThatBecomesAWorkerGoesToWhoeverGetsIt(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	moved := strings.Replace(cofe, "build: orders, route: /orders", "build: orders, worker: true", 1) + "  front: { build: front, route: /orders }\n"
	p.hands.broken["orders v2"] = "exit 1"
	p.hands.broken["front v1"] = "exit 1"
	with := map[string]string{"orders": "o2", "payments": "p1", "front": "f1"}
	p.deliver(moved, with)
	p.settle()
	if !p.hands.answers("orders") {
		t.Error("its place has gone to one that takes no traffic")
	}
	with["front"] = "f2"
	p.deliver(moved, with)
	p.settle()
	if p.hands.answers("orders") || !p.hands.answers("front") {
		t.Error("the new service did not get the place")
	}
}
