package controller_test

import (
	"strings"
	"testing"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/controller"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// A stable function whose calls fail is not healthy, however few they are and however
// long ago the last was: no instance of it need be there to be seen unwell.
func TestStatus_aStableFunctionWhoseCallsFailIsDegraded(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	text := strings.Replace(collect, "alarms: none", "alarms: { errors: errors > 1% for 1m, slow: p99 > 1s }", 1)
	p.ended(p.deliver(text, map[string]string{"orders": "o1"}).Rollouts[0], rollout.Promoted)
	at, cursor := p.now, p.hands.cursor
	call := func(w analysis.Window) {
		t.Helper()
		at, cursor = at.Add(10*time.Minute), cursor+1
		w.Start, w.Length, w.Requests = at, time.Second, 1
		p.Measure([]world.VersionWindow{{Cursor: cursor, Key: rollout.Key{App: "cofe", Env: "production", Workload: "orders"}, Version: 1, Window: w}})
	}
	healthy := func(when string) {
		t.Helper()
		if h := p.status("orders").Health; h != (controller.Health{State: controller.Healthy}) {
			t.Fatalf("%s: %+v", when, h)
		}
	}
	for range 10 {
		call(analysis.Window{})
	}
	call(analysis.Window{Failed: 1, Timeouts: 1})
	call(analysis.Window{Failed: 1, OOM: 1})
	healthy("two failed calls do not tell")
	call(analysis.Window{Failed: 1, Timeouts: 1})
	call(analysis.Window{Failed: 1})
	h := p.status("orders").Health
	if want := "4 of the last 14 calls of v1 failed (28.6 %): 2 timeouts, 1 kill for memory, 1 exception, crash or answer of 5xx; its alarm is errors > 1%"; h != (controller.Health{State: controller.Degraded, Why: want}) {
		t.Errorf("%+v", h)
	}
	for range 19 {
		call(analysis.Window{})
	}
	healthy("the failed calls are not among the last twenty any more")
	for range 3 {
		call(analysis.Window{Failed: 1})
	}
	p.hands.cursor, p.now, p.hands.failing["orders v1"] = cursor, at, 1
	id := p.deliver(text, map[string]string{"orders": "o2"}).Rollouts[0]
	p.until("it bakes", func() bool { return p.rollout(id).State.Phase == rollout.Baking })
	if h := p.status("orders").Health; h.State != controller.Degraded {
		t.Errorf("v1 is still the stable version: %+v", h)
	}
	if _, err := p.Command(t.Context(), id, rollout.Command{Verb: rollout.Promote, By: "ana"}); err != nil {
		t.Fatal(err)
	}
	p.ended(id, rollout.Promoted)
	healthy("another version is stable")
}
