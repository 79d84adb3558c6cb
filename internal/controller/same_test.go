package controller_test

import (
	"testing"

	"titrate/internal/rollout"
)

// TestR1_pushedBackWhileItRolls pushes what is stable while something else is tried:
// once that is rolled back nothing is left to move.
func TestR1_pushedBackWhileItRolls(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	p.hands.failing["orders v2"] = 0.3
	bad := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"}).Rollouts[0]
	p.tick()
	back := p.deliver(cofe, map[string]string{"orders": "o1", "payments": "p1"}).Rollouts[0]
	p.ended(bad, rollout.RolledBack)
	p.ended(back, rollout.Promoted)
	if s := p.rollout(back).State; s.Took || s.Phase != rollout.Ended {
		t.Errorf("%+v", s)
	}
	if split, fleets := p.hands.split("orders"), p.hands.fleets("orders"); split != "v1 100 %" || len(fleets) != 1 || fleets[1].Count != 2 {
		t.Errorf("%s, %+v", split, fleets)
	}
	if s := p.status("orders"); s.Stable != 1 {
		t.Errorf("%s is stable", s.Stable)
	}
	// A version that differs is tried as ever, from what has been stable all along.
	p.promote(4)
}

// TestR1_pushedBackAfterAPromotion has the version in between promoted meanwhile:
// going back to the old one is a rollout then.
func TestR1_pushedBackAfterAPromotion(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	next := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"}).Rollouts[0]
	p.tick()
	back := p.deliver(cofe, map[string]string{"orders": "o1", "payments": "p1"}).Rollouts[0]
	p.ended(next, rollout.Promoted)
	p.ended(back, rollout.Promoted)
	if split := p.hands.split("orders"); split != "v3 100 %" {
		t.Error(split)
	}
}
