package controller_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"titrate/internal/controller"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

const collect = `titrate: 1
app: cofe
defaults: { bake: 0, rollout: AllAtOnce, alarms: none }
functions:
  orders: { build: orders, runtime: nodejs22, handler: index.main, timeout: 20s, scale: { max: 5 }, http: GET /orders, queue: paid, env: { A: b } }
`

// TestR5_aFunctionGoesByWhatIsAtWork: N of a function is what its stable version has at
// work, not a number of the manifest.
func TestR5_aFunctionGoesByWhatIsAtWork(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	k := rollout.Key{App: "cofe", Env: "production", Workload: "orders"}
	member := func(text, artifact string) rollout.Member {
		t.Helper()
		d := p.deliver(text, map[string]string{"orders": artifact})
		if len(d.Rollouts) != 1 {
			t.Fatalf("%+v", d)
		}
		return p.rollout(d.Rollouts[0]).Plan.Members[0]
	}
	if m := member(collect, "o1"); !m.Function || m.Instances != 1 {
		t.Errorf("a first release: %+v", m)
	}
	p.settle()
	seen := world.Seen{Sequence: 1 << 60, Stamp: p.Wanted().Stamp, Fleets: []world.FleetSeen{{Key: k, Version: 1, Ready: 1, Concurrency: 7}}}
	p.Observe(seen, world.Served{})
	if m := member(collect, "o2"); m.Instances != 7 {
		t.Errorf("with seven at work N is %d", m.Instances)
	}
}

// TestFunction_isWantedAsItsVersionWasMade: the process gets what its version was made
// with, and what calls it is the manifest's of now.
func TestFunction_isWantedAsItsVersionWasMade(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.deliver(collect, map[string]string{"orders": "o1"})
	p.settle()
	more := strings.Replace(strings.Replace(collect, "queue: paid", "queue: paid, cron: rate(5 minutes)", 1), "max: 5", "max: 9", 1)
	d := p.deliver(more, map[string]string{"orders": "o1"})
	if d.Workloads[0].What != controller.Unchanged {
		t.Errorf("another trigger is %+v: it takes effect without a rollout", d.Workloads[0])
	}
	i := slices.IndexFunc(p.Wanted().Workloads, func(w world.Workload) bool { return w.Key.Workload == "orders" })
	w := p.Wanted().Workloads[i]
	if w.Triggers == nil || len(w.Triggers.Schedules) != 1 || len(w.Triggers.Queues) != 1 || w.Triggers.Routes[0] != "GET /orders" || w.Stable != 1 {
		t.Errorf("%+v, stable %s", w.Triggers, w.Stable)
	}
	f := w.Fleets[0]
	if f.Function == nil || f.Function.Handler != "index.main" || f.Function.Timeout != 20*time.Second || f.Scale.Max != 9 || f.Limits.Memory == 0 || f.Drain < f.Function.Timeout {
		t.Errorf("%+v", f)
	}
	for change, what := range map[string]string{"nodejs22": "nodejs20", "index.main": "index.other", "20s": "30s"} {
		got, err := p.Diff(t.Context(), delivery(t, strings.Replace(more, change, what, 1), map[string]string{"orders": "o1"}))
		if err != nil || got.Workloads[0].What != controller.Opens || len(got.Workloads[0].Changed) != 1 {
			t.Errorf("%s → %s: %+v, %v", change, what, got.Workloads, err)
		}
	}
}
