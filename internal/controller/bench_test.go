package controller_test

import (
	"context"
	"testing"
	"time"

	"titrate/internal/controller"
	"titrate/internal/rollout"
)

// memoryStore keeps nothing but what a controller starts from.
type memoryStore struct{ catalog rollout.Catalog }

func (m *memoryStore) Lease(context.Context) (uint64, error)                  { return 1, nil }
func (m *memoryStore) Load(context.Context) (rollout.Catalog, error)          { return m.catalog, nil }
func (m *memoryStore) Commit(context.Context, rollout.Change) error           { return nil }
func (m *memoryStore) History(context.Context, int64) ([]rollout.Look, error) { return nil, nil }
func (m *memoryStore) Rollout(context.Context, int64) (rollout.Record, error) {
	return rollout.Record{}, rollout.ErrUnknown
}

func (m *memoryStore) Release(context.Context, string, rollout.Release) (rollout.ReleaseRecord, error) {
	return rollout.ReleaseRecord{}, rollout.ErrUnknown
}

// BenchmarkStep is one second of three workloads in the middle of their rollouts,
// as a simulator would drive them: three looks.
func BenchmarkStep(b *testing.B) {
	p := &place{now: began}
	h := &hands{rps: 1000}
	k := rollout.Key{App: "cofe", Env: "production"}
	var catalog rollout.Catalog
	for i, name := range []string{"orders", "payments", "rewards"} {
		k.Workload = name
		app := delivery(&testing.T{}, cofe, nil).App
		plan := app.Environments[0].Plan("orders")
		plan.Rollout, plan.Members[0].Workload, plan.Members[0].Candidate = int64(i+1), name, 2
		for s := range plan.Steps {
			plan.Steps[s].Hold = 1000 * time.Hour
		}
		catalog.Live = append(catalog.Live, rollout.Record{Plan: plan, State: rollout.New(plan, began), Revision: 1, Opened: began})
		catalog.Workloads = append(catalog.Workloads, rollout.WorkloadRecord{Key: k, Stable: 1, Newest: 2, Settings: rollout.Settings{Instances: 2}})
		for v := rollout.Version(1); v <= 2; v++ {
			catalog.Versions = append(catalog.Versions, rollout.VersionRecord{Key: k, Number: v})
		}
	}
	c := controller.New(controller.Config{Store: &memoryStore{catalog}, Target: target{h, p}, Router: target{h, p}, Meter: target{h, p}, Now: func() time.Time { return p.now }})
	if err := c.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		p.now = p.now.Add(time.Second)
		c.Measure(h.windows(p.now))
		c.Observe(h.seen(p.now))
		if _, err := c.Step(b.Context(), p.now); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(3*float64(b.N)/b.Elapsed().Minutes(), "looks/min")
}
