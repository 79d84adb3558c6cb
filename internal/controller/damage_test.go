package controller_test

import (
	"strings"
	"testing"
	"time"

	"titrate/internal/controller"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// TestR26_aCutTakesTheRolloutBack has a gateway say that it has cut attempts: another one's
// is nothing to a rollout, its own takes it back.
func TestR26_aCutTakesTheRolloutBack(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	manifest := strings.Replace(cofe, "  bake: 10s\n", "  bake: 10s\n  damage: 50 requests\n  shield: errors\n", 1)
	id := p.deliver(manifest, map[string]string{"orders": "o2", "payments": "p1"}).Rollouts[0]
	p.tick()
	p.tick()
	found := false
	for _, w := range p.Wanted().Workloads {
		if w.Rollout == id {
			found = true
			if w.Stable != 1 || !w.Shield500 || w.Damage != (rollout.Damage{Requests: 50}) {
				t.Errorf("the gateway is told %+v", w)
			}
		}
	}
	if !found {
		t.Fatal("no workload is moved")
	}
	p.hands.mu.Lock()
	p.hands.cuts = []world.Damage{{Rollout: id, Attempt: 2, Served: 50, Cut: time.Unix(1000, 0)}, {Rollout: id + 1, Attempt: 1, Served: 50, Cut: time.Unix(1000, 0)}}
	p.hands.mu.Unlock()
	p.tick()
	if r, err := p.Store.Rollout(t.Context(), id); err != nil || r.State.Back != nil {
		t.Fatalf("another attempt's cut: %+v, %v", r.State, err)
	}
	p.hands.mu.Lock()
	p.hands.cuts = []world.Damage{{Rollout: id, Attempt: 1, Served: 52, Cut: time.Unix(1000, 0)}}
	p.hands.mu.Unlock()
	p.ended(id, rollout.RolledBack)
	r, err := p.Store.Rollout(t.Context(), id)
	if want := "the damage budget (50 requests) is spent: 52 requests failed for users"; err != nil || !strings.Contains(r.State.Why, want) {
		t.Errorf("it went back since %q, %v", r.State.Why, err)
	}
	if s := p.hands.split("orders"); s != "v1 100 %" {
		t.Error(s)
	}
	// A way back that a person chose has no budget: what it leaves was bad too.
	p.promote(2)
	p.promote(3)
	back, err := p.Rollback(t.Context(), production, controller.Destination{}, "ana")
	if err != nil {
		t.Fatal(err)
	}
	p.tick()
	p.tick()
	for _, w := range p.Wanted().Workloads {
		if w.Rollout == back.Rollouts[0] && w.Damage.Bounds() {
			t.Errorf("a rollback has a damage budget: %+v", w.Damage)
		}
	}
}
