package controller_test

import (
	"strings"
	"testing"

	"titrate/internal/rollout"
)

// compared is cofe with an alarm that compares with stable.
var compared = strings.Replace(cofe, "5xx > 1% for 2s", "5xx > 1% for 2s, latency: p99 > 2x stable for 2s", 1)

func (p *place) orders(artifact string) int64 {
	p.t.Helper()
	return p.deliver(compared, map[string]string{"orders": artifact, "payments": "p1"}).Rollouts[0]
}

func TestR11_theBaselineOutlivesTheServer(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	h := &hands{rps: 1000, slow: map[string]bool{"orders v2": true}}
	p := openPlace(t, folder, h, newPlace(t).now)
	p.ended(p.orders("o1"), rollout.Promoted)
	p.settle()
	for range 30 {
		p.tick()
	}
	id := p.orders("o2")
	p.until("it has most of the traffic", func() bool { return p.rollout(id).State.Weight == rollout.Percent(60) })
	if err := p.store.Close(); err != nil {
		t.Fatal(err)
	}
	p = openPlace(t, folder, h, p.now)
	if r := p.ended(id, rollout.RolledBack); r.State.Back.Evidence == nil || !r.State.Back.Evidence.StableKnown {
		t.Errorf("%+v", r.State.Back)
	}
}

func TestR11_whatWaitedComparesWithTheBakeOfTheOneBefore(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.hands.slow = map[string]bool{"orders v3": true}
	p.ended(p.orders("o1"), rollout.Promoted)
	p.settle()
	first := p.orders("o2")
	p.tick()
	waited := p.orders("o3")
	p.ended(first, rollout.Promoted)
	if r := p.rollout(waited); r.State.Outcome != rollout.RolledBack {
		t.Errorf("%s: %s", r.State.Outcome, r.State.Why)
	}
}
