package events

import (
	"testing"
	"time"
)

func TestGate_closesLongerEachTimeAndOpensSlowly(t *testing.T) {
	t.Parallel()
	h := newHands()
	e := &Events{clock: h.clock()}
	g := newGate(8)
	enter := func() int {
		round, err := g.enter(t.Context(), e)
		must(t, err)
		return round
	}
	rounds := []int{enter(), enter(), enter()}
	for _, r := range rounds { // that went together: one strike
		g.leave(refused, r, h.Now())
	}
	if g.until.Sub(h.Now()) != shortPause || g.now != 4 {
		t.Fatalf("closed for %s, %d at a time", g.until.Sub(h.Now()), g.now)
	}
	longest := time.Duration(0)
	for range 12 {
		h.move(longPause)
		g.leave(refused, enter(), h.Now())
		longest = max(longest, g.until.Sub(h.Now()))
	}
	if longest != longPause || g.now != 1 {
		t.Fatalf("closed for %s, %d at a time", longest, g.now)
	}
	h.move(longPause)
	for range 10 {
		g.leave(passed, enter(), h.Now())
	}
	if g.now != 8 || g.open != 0 {
		t.Fatalf("%d at a time, %d open", g.now, g.open)
	}
	g.set(3)
	if g.now != 3 {
		t.Fatal(g.now)
	}
	g.set(9)
	if g.now != 9 {
		t.Fatal(g.now)
	}
}
