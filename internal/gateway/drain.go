package gateway

import (
	"context"
	"time"

	"titrate/internal/rollout"
)

// drainTick is how often due connections are looked for while something drains.
const drainTick = 20 * time.Millisecond

// drain says since when a fleet has been losing its connections (R17). Zero
// times have not come.
type drain struct {
	length   time.Duration
	weight   time.Time // when it lost its traffic: drawn requests have length from here
	unlisted time.Time // when the table dropped it: all requests have
}

// due returns when t is to be cut, zero for never: a stream at a moment of its
// own within the drain, so that clients do not all come back at once; a request
// at the drain's end.
func (d *drain) due(t *ticket) time.Time {
	from := d.unlisted
	if !t.preview && !d.weight.IsZero() {
		from = d.weight
	}
	if from.IsZero() {
		return time.Time{}
	}
	if t.stream.Load() {
		return from.Add(time.Duration(t.jitter * float64(d.length)))
	}
	return from.Add(d.length)
}

// over reports whether nothing is to be expected of the drain any more. The
// second is for requests that began by an older snapshot and register late.
func (d *drain) over(now time.Time) bool {
	last := d.weight
	if d.unlisted.After(last) {
		last = d.unlisted
	}
	return now.After(last.Add(d.length + time.Second))
}

// startDrains begins and ends the drains that table t asks for. Guarded by mu.
func (g *Gateway) startDrains(t Table) {
	now := time.Now()
	weights := map[fleetID]rollout.Weight{}
	for _, w := range t.Workloads {
		for _, sh := range w.Split {
			weights[fleetID{w.Key, sh.Version}] = sh.Weight
		}
	}
	begun := false
	for id, f := range g.fleets {
		had := f.weight
		f.weight = weights[id]
		if f.weight > 0 {
			f.drain.Store(nil)
			continue
		}
		d := drain{length: f.length}
		if d.length <= 0 {
			d.length = g.cfg.Drain
		}
		if was := f.drain.Load(); was != nil {
			d.weight, d.unlisted = was.weight, was.unlisted
		}
		if had > 0 {
			d.weight = now
		}
		if f.listed {
			d.unlisted = time.Time{}
		} else if d.unlisted.IsZero() {
			d.unlisted = now
		}
		if d.weight.IsZero() && d.unlisted.IsZero() {
			f.drain.Store(nil)
			continue
		}
		f.drain.Store(&d)
		begun = true
	}
	if begun {
		g.wakeDrain()
	}
}

func (g *Gateway) wakeDrain() {
	select {
	case g.drained <- struct{}{}:
	default:
	}
}

// drainLoop cuts what is due, until ctx ends.
func (g *Gateway) drainLoop(ctx context.Context) {
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for {
		tick.Stop()
		select {
		case <-ctx.Done():
			return
		case <-g.drained:
		}
		tick.Reset(drainTick)
		for g.cutDue(time.Now()) {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}
}

// cutDue cuts what is due at now and reports whether a drain still goes on.
func (g *Gateway) cutDue(now time.Time) (more bool) {
	g.mu.Lock()
	var draining []*fleet
	for _, f := range g.fleets {
		if d := f.drain.Load(); d != nil && (!d.over(now) || f.open.count() > 0) {
			draining = append(draining, f)
		}
	}
	g.mu.Unlock()
	for _, f := range draining {
		d := f.drain.Load()
		if d == nil {
			continue // it has traffic again
		}
		for _, t := range f.open.list() {
			if due := d.due(t); !due.IsZero() && !now.Before(due) {
				t.cut()
			}
		}
		if !d.over(now) {
			more = true
		}
	}
	return more
}

// drainAll drains every fleet at the end of Serve.
func (g *Gateway) drainAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	for _, f := range g.fleets {
		d := drain{length: g.cfg.Drain, unlisted: now}
		if was := f.drain.Load(); was != nil {
			d.weight = was.weight
			d.length = min(d.length, was.length)
		}
		f.drain.Store(&d)
	}
	g.wakeDrain()
}
