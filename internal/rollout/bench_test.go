package rollout_test

import (
	"testing"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"
)

// BenchmarkNext is a look that changes nothing: a step of three members is held,
// with two alarms each.
func BenchmarkNext(b *testing.B) {
	p, s, seen, now := heldStep(b)
	b.ReportAllocs()
	for b.Loop() {
		s = rollout.Next(p, s, seen, now)
	}
}

// BenchmarkWish is the world that a held step wants.
func BenchmarkWish(b *testing.B) {
	p, s, _, _ := heldStep(b)
	b.ReportAllocs()
	for b.Loop() {
		s.Wish(p)
	}
}

func heldStep(tb testing.TB) (rollout.Plan, rollout.State, rollout.Seen, time.Time) {
	tb.Helper()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	p := rollout.Plan{
		Rollout: 7, App: "cofe", Env: "production", Release: 42, Kind: rollout.Forward,
		Steps: []rollout.Step{{Weight: 1000, Hold: time.Hour}, {Weight: rollout.Full}},
		Bake:  time.Minute, Drain: time.Minute, StartTimeout: time.Minute, NoDataTimeout: time.Minute, HookTimeout: time.Minute, MaxRestarts: 3,
	}
	var seen rollout.Seen
	for _, name := range []string{"orders", "carts", "mails"} {
		alarms := []analysis.Alarm{{Name: "errors"}, {Name: "latency"}}
		p.Members = append(p.Members, rollout.Member{Workload: name, Candidate: 2, Instances: 4, Alarms: alarms})
		seen.Members = append(seen.Members, rollout.MemberSeen{
			Stable: 1, Ready: 4, StableReady: 4,
			Readings: []analysis.Reading{
				{Alarm: "errors", Verdict: analysis.Pass, Reaction: analysis.ReactRollback, Closed: now.Add(time.Hour)},
				{Alarm: "latency", Verdict: analysis.Pass, Reaction: analysis.ReactRollback, Closed: now.Add(time.Hour)},
			},
		})
	}
	s := rollout.New(p, now)
	for range 6 {
		now = now.Add(time.Second)
		s = rollout.Next(p, s, seen, now)
		for i := range seen.Members {
			seen.Members[i].Served = s.Weight
		}
	}
	if s.Phase != rollout.Shifting || s.Arrived.IsZero() {
		tb.Fatalf("not held: %+v", s)
	}
	return p, s, seen, now
}
