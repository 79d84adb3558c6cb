package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"
	"titrate/internal/store"
	"titrate/internal/world"
)

func key(i int) rollout.Key {
	return rollout.Key{App: fmt.Sprintf("app%d", i/100), Env: "production", Workload: fmt.Sprintf("w%d", i)}
}

// fill writes n workloads with a stable version and an open rollout each.
func fill(ctx context.Context, s *store.Store, n int) error {
	token, err := s.Lease(ctx)
	if err != nil {
		return err
	}
	errors, err := analysis.ParseAlarm("errors", "5xx > 2% for 2s")
	if err != nil {
		return err
	}
	latency, err := analysis.ParseAlarm("latency", "p99 > 2x stable")
	if err != nil {
		return err
	}
	at := time.Now().UTC()
	for from := 0; from < n; from += 500 {
		c := rollout.Change{Token: token, At: at}
		for i := from; i < min(n, from+500); i++ {
			k := key(i)
			for v := rollout.Version(1); v <= 2; v++ {
				c.Versions = append(c.Versions, rollout.VersionRecord{
					Key: k, Number: v, Release: rollout.Release(v), Artifact: rollout.Artifact{Digest: "ab", Command: []string{"./app"}}, Digest: fmt.Sprint(v), Made: at,
				})
			}
			c.Workloads = append(c.Workloads, rollout.WorkloadRecord{
				Key: k, Settings: rollout.Settings{Instances: 2, Drain: time.Second, StartTimeout: time.Minute}, Release: 2, Stable: 1, Newest: 2,
			})
			p := rollout.Plan{
				Rollout: int64(i + 1), App: k.App, Env: k.Env, Release: 2, Kind: rollout.Forward, Attempt: 1, Strategy: "steps",
				Overlap: rollout.OverlapNext, Bake: time.Hour, Drain: time.Second, StartTimeout: time.Minute, NoDataTimeout: time.Hour,
				HookTimeout: time.Minute, MaxRestarts: 3,
				Members: []rollout.Member{{Workload: k.Workload, Candidate: 2, Instances: 2, Alarms: []analysis.Alarm{errors, latency}}},
			}
			// Rollouts do not walk in step with each other.
			hold := time.Duration(20+i%41) * time.Second
			for w := rollout.Weight(1000); w <= rollout.Full; w += 1000 {
				p.Steps = append(p.Steps, rollout.Step{Weight: w, Hold: hold})
			}
			c.Opened = append(c.Opened, rollout.Record{Plan: p, State: rollout.New(p, at), Revision: 1, Opened: at})
		}
		if err := s.Commit(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// hands give at once whatever is asked for, and measure a thousand requests a
// second of each workload. From the warm-up's end on, some more candidates fail
// each second.
type hands struct {
	mu       sync.Mutex
	wanted   world.Wanted
	sequence uint64
	changed  chan struct{}
	cursor   uint64
	began    time.Time
	bad      int
	good     analysis.Histogram
}

func newWorld(_, bad int) *hands {
	return &hands{
		changed: make(chan struct{}), bad: bad, began: time.Now(),
		good: analysis.Histogram{Bucket: []uint16{900, 910, 920, 950}, Count: []uint64{300, 400, 200, 100}},
	}
}

// Ensure takes the world.
func (h *hands) Ensure(_ context.Context, w world.Wanted) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wanted = w
	h.sequence++
	close(h.changed)
	h.changed = make(chan struct{})
	return nil
}

// Split has nothing more to do.
func (h *hands) Split(context.Context, world.Wanted) error { return nil }

// Seen waits for another world than the one after.
func (h *hands) Seen(ctx context.Context, after uint64) (world.Seen, error) {
	for {
		h.mu.Lock()
		wait, sequence := h.changed, h.sequence
		h.mu.Unlock()
		if sequence > after {
			break
		}
		select {
		case <-ctx.Done():
			return world.Seen{}, ctx.Err()
		case <-wait:
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := world.Seen{Sequence: h.sequence, Epoch: "1", Stamp: h.wanted.Stamp, Served: h.wanted.Stamp}
	for _, w := range h.wanted.Workloads {
		for _, f := range w.Fleets {
			s.Fleets = append(s.Fleets, world.FleetSeen{Key: w.Key, Version: f.Version, Ready: f.Count})
		}
	}
	return s, nil
}

// Served is the split that was asked for.
func (h *hands) Served(context.Context) (world.Served, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := world.Served{Stamp: h.wanted.Stamp, Split: make(map[string][]world.Share, len(h.wanted.Workloads))}
	for _, w := range h.wanted.Workloads {
		s.Split[w.Key.String()] = w.Split
	}
	return s, nil
}

// Windows returns, at each full second, what happened in the one before it.
func (h *hands) Windows(ctx context.Context, _ uint64) ([]world.VersionWindow, error) {
	closed := time.Now().Truncate(time.Second).Add(time.Second)
	t := time.NewTimer(time.Until(closed))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-t.C:
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	failing := h.bad * max(0, int(closed.Sub(h.began)/time.Second)-warmup)
	all := make([]world.VersionWindow, 0, 2*len(h.wanted.Workloads))
	for i, w := range h.wanted.Workloads {
		for _, s := range w.Split {
			h.cursor++
			v := world.VersionWindow{Cursor: h.cursor, Epoch: "1", Key: w.Key, Version: s.Version}
			v.Start, v.Length, v.Requests, v.Latency = closed.Add(-time.Second).UTC(), time.Second, 1000, h.good
			v.Status[2] = 1000
			if s.Version == 2 && i < failing {
				v.Status[2], v.Status[5], v.Failed = 500, 500, 500
			}
			all = append(all, v)
		}
	}
	return all, nil
}
