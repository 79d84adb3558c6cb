package controller_test

import (
	"strings"
	"testing"
	"time"

	"titrate/internal/rollout"
)

// baking delivers o2 with a bake of ten minutes, and returns its rollout when it
// has baked for a minute.
func baking(t *testing.T, p *place) int64 {
	t.Helper()
	text := strings.Replace(cofe, "bake: 10s", "bake: 10m", 1)
	for _, id := range p.deliver(text, map[string]string{"orders": "o1", "payments": "p1"}).Rollouts {
		p.ended(id, rollout.Promoted)
	}
	id := p.deliver(text, map[string]string{"orders": "o2", "payments": "p1"}).Rollouts[0]
	p.until("it bakes", func() bool { return p.rollout(id).State.Phase == rollout.Baking })
	for range 60 {
		p.tick()
	}
	return id
}

// baked plays on until the promotion, and returns how long that took.
func baked(p *place, id int64) time.Duration {
	from := p.now
	p.ended(id, rollout.Promoted)
	return p.now.Sub(from)
}

// TestR13_timeWithoutAServerIsNoBake has the machine off for ten minutes.
func TestR13_timeWithoutAServerIsNoBake(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := openPlace(t, folder, newPlace(t).hands, began)
	id := baking(t, p)
	if err := p.store.Close(); err != nil {
		t.Fatal(err)
	}
	p = openPlace(t, folder, p.hands, p.now.Add(10*time.Minute))
	if left := baked(p, id); left < 9*time.Minute || left > 9*time.Minute+10*time.Second {
		t.Errorf("with nine minutes of bake left it was promoted in %s", left)
	}
	if got, err := p.Replay(t.Context(), id); err != nil || !got.Agrees() {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestR13_timeAsleepIsNoBake has the machine suspended: the same server goes on.
func TestR13_timeAsleepIsNoBake(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	id := baking(t, p)
	p.now = p.now.Add(10 * time.Minute)
	if left := baked(p, id); left < 9*time.Minute-time.Second || left > 9*time.Minute+10*time.Second {
		t.Errorf("with nine minutes of bake left it was promoted in %s", left)
	}
}

// TestR13_timeWithoutANodeIsNoBake has a node that cannot be asked.
func TestR13_timeWithoutANodeIsNoBake(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	id := baking(t, p)
	p.Unseen()
	for range 600 {
		p.now = p.now.Add(time.Second)
		if _, err := p.Step(t.Context(), p.now); err != nil {
			t.Fatal(err)
		}
	}
	if left := baked(p, id); left < 9*time.Minute-10*time.Second {
		t.Errorf("with nine minutes of bake left it was promoted in %s", left)
	}
}
