package gateway

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// attemptID names one attempt of one rollout.
type attemptID struct {
	rollout int64
	attempt int
}

// damage is what one attempt of a rollout may break, all of its workloads together (R26).
// When that is spent the candidates get nothing more: it is never lifted, by whatever
// table comes after.
type damage struct {
	attemptID
	limit  rollout.Damage
	served atomic.Uint64 // failures
	had    uint64        // requests that candidates were given before this process
	given  tally         // and in it
	cut    atomic.Bool
	wake   chan<- struct{}

	// Below, guarded by Gateway.mu.
	at    time.Time // of the cut; zero: not yet, or not told yet
	named bool      // by the current table
	told  bool      // of the cut
}

// note counts a failure that was served. The one that spends the budget cuts, in its own
// time: whatever is drawn from then on is stable's.
func (d *damage) note() {
	n := d.served.Add(1)
	if !d.limit.Spent(n, d.requests) || d.cut.Swap(true) {
		return
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// requests is how many the candidates have had.
func (d *damage) requests() uint64 { return d.had + d.given.sum() }

// current is the split by which requests are drawn: stable alone, once the damage budget
// is spent.
func (l *lane) current() *split {
	if l.toStable != nil && l.damage.cut.Load() {
		return l.toStable
	}
	return l.split
}

// limit gives a lane the damage budget of its rollout's attempt. Guarded by mu.
func (g *Gateway) limit(w Workload, l, old *lane, now time.Time) {
	if w.Rollout == 0 || l.split == nil || l.versions[l.stable] == nil {
		return
	}
	id := attemptID{w.Rollout, w.Attempt}
	d := g.damages[id]
	if d == nil {
		if !w.Damage.Bounds() {
			return
		}
		d = &damage{attemptID: id, limit: w.Damage, wake: g.cuts}
		g.damages[id] = d
	}
	d.named, l.damage = true, d
	if old != nil && old.toStable != nil && old.stable == l.stable {
		l.toStable = old.toStable
		return
	}
	l.toStable = newSplit([]world.Share{{Version: l.stable, Weight: rollout.Full}}, l.versions, now)
}

// mostCuts is how many cuts are remembered that no table names.
const mostCuts = 256

// remember takes over what was known of damage before, by a process before this one.
// Guarded by mu.
func (g *Gateway) remember(known []world.Damage) {
	for _, k := range known {
		id := attemptID{k.Rollout, k.Attempt}
		d := g.damages[id]
		if d == nil {
			d = &damage{attemptID: id, limit: k.Limit, had: k.Given, wake: g.cuts}
			d.served.Store(k.Served)
			g.damages[id] = d
		}
		if !k.Cut.IsZero() && !d.cut.Swap(true) {
			d.at, d.told = k.Cut, true
		}
	}
}

// forget drops what the table names no more: all but the last cuts. Guarded by mu.
func (g *Gateway) forget() {
	var cuts []*damage
	for id, d := range g.damages {
		switch {
		case d.named:
		case d.cut.Load():
			cuts = append(cuts, d)
		default:
			delete(g.damages, id)
		}
	}
	if len(cuts) <= mostCuts {
		return
	}
	slices.SortFunc(cuts, func(a, b *damage) int { return a.at.Compare(b.at) })
	for _, d := range cuts[:len(cuts)-mostCuts] {
		delete(g.damages, d.attemptID)
	}
}

// Damage returns what the attempts of rollouts with a damage budget have broken, by
// rollout and attempt. It is what the next process must be given in [Table].Damage.
func (g *Gateway) Damage() []world.Damage {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]world.Damage, 0, len(g.damages))
	for _, d := range g.damages {
		k := world.Damage{Rollout: d.rollout, Attempt: d.attempt, Limit: d.limit, Served: d.served.Load(), Given: d.requests()}
		if d.cut.Load() {
			k.Cut = d.cutAt(g.cfg.Clock())
		}
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b world.Damage) int {
		return cmp.Or(cmp.Compare(a.Rollout, b.Rollout), cmp.Compare(a.Attempt, b.Attempt))
	})
	return out
}

// cutAt is when it was cut: now, unless that is known. Guarded by Gateway.mu.
func (d *damage) cutAt(now time.Time) time.Time {
	if d.at.IsZero() {
		d.at = now.Round(0).UTC()
	}
	return d.at
}

// cutLoop tells of cuts, and drains what they have taken traffic from, until ctx ends.
func (g *Gateway) cutLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.cuts:
		}
		g.settleCuts()
		if g.cfg.OnCut != nil {
			g.cfg.OnCut()
		}
	}
}

func (g *Gateway) settleCuts() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, d := range g.damages {
		if d.cut.Load() && !d.told {
			d.cutAt(g.cfg.Clock())
			d.told = true
			g.log.Warn("damage budget is spent: stable has all traffic", slog.Int64("rollout", d.rollout), slog.Int("attempt", d.attempt),
				slog.Uint64("served", d.served.Load()), slog.String("damage", d.limit.String()))
		}
	}
	g.startDrains(g.table.Load())
}
