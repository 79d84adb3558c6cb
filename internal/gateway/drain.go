package gateway

import (
	"context"
	"time"

	"titrate/internal/rollout"
)

// drainTick is how often due connections are looked for while something drains, and
// leaveTick while all does because the gateway was relieved.
const (
	drainTick = 20 * time.Millisecond
	leaveTick = 200 * time.Millisecond
)

// drain says since when a fleet has been losing its connections (R17). Zero
// times have not come.
type drain struct {
	length   time.Duration
	weight   time.Time // when it lost its traffic: drawn requests have length from here
	unlisted time.Time // when the table dropped it: all requests have
	left     time.Time // when another process took over: requests and streams have as much from here
	requests time.Duration
	streams  time.Duration
}

// due returns when t is to be cut, zero for never: a stream at a moment of its
// own within the drain, so that clients do not all come back at once; a request
// at the drain's end.
func (d *drain) due(t *ticket) time.Time {
	from, stream := d.unlisted, t.stream.Load()
	if !t.preview && !d.weight.IsZero() {
		from = d.weight
	}
	var at time.Time
	switch {
	case from.IsZero():
	case stream:
		at = from.Add(time.Duration(t.jitter * float64(d.length)))
	default:
		at = from.Add(d.length)
	}
	if d.left.IsZero() {
		return at
	}
	left := d.left.Add(d.requests)
	if stream {
		left = d.left.Add(time.Duration((1 + t.jitter) / 2 * float64(d.streams)))
	}
	if at.IsZero() || left.Before(at) {
		return left
	}
	return at
}

// over reports whether nothing is to be expected of the drain any more. The
// second is for requests that began by an older snapshot and register late.
func (d *drain) over(now time.Time) bool {
	last := d.weight
	if d.unlisted.After(last) {
		last = d.unlisted
	}
	last = last.Add(d.length)
	if left := d.left.Add(max(d.requests, d.streams)); !d.left.IsZero() && left.After(last) {
		last = left
	}
	return now.After(last.Add(time.Second))
}

// startDrains begins and ends the drains that follow from what is split now. Guarded by mu.
func (g *Gateway) startDrains(s *snapshot) {
	now := time.Now()
	weights := map[fleetID]rollout.Weight{}
	for k, l := range s.lanes {
		if sp := l.current(); sp != nil {
			for _, sh := range sp.shares {
				weights[fleetID{k, sh.Version}] = sh.Weight
			}
		}
	}
	begun := false
	for id, f := range g.fleets {
		had := f.weight
		f.weight = weights[id]
		if f.weight > 0 {
			f.drain.Store(nil)
			if !g.left.IsZero() {
				g.leaveFleet(f)
				begun = true
			}
			continue
		}
		d := drain{length: g.drainOf(f)}
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
		} else {
			f.drain.Store(&d)
			begun = true
		}
		if !g.left.IsZero() {
			g.leaveFleet(f)
			begun = true
		}
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
		every := drainTick
		if g.isRelieved() { // it may take an hour
			every = leaveTick
		}
		tick.Reset(every)
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

// drainOf is how long what is open on a fleet may take to end. Guarded by mu.
func (g *Gateway) drainOf(f *fleet) time.Duration {
	if f.length <= 0 {
		return g.cfg.Drain
	}
	return f.length
}

// leaveFleet bounds what is open on a fleet by when the gateway was relieved, beside
// what else drains it, and returns for how long. Guarded by mu.
func (g *Gateway) leaveFleet(f *fleet) time.Duration {
	d := drain{length: g.drainOf(f)}
	if was := f.drain.Load(); was != nil {
		d = *was
	}
	d.left, d.requests, d.streams = g.left, max(g.cfg.Drain, g.drainOf(f)), g.cfg.StreamDrain
	f.drain.Store(&d)
	return max(d.requests, d.streams)
}

// leaveAll is leaveFleet of every one: how long until nothing is left.
func (g *Gateway) leaveAll() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left = time.Now()
	longest := g.cfg.Drain
	for _, f := range g.fleets {
		longest = max(longest, g.leaveFleet(f))
	}
	g.wakeDrain()
	return longest
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
			if !was.weight.IsZero() || !was.unlisted.IsZero() {
				d.length = min(d.length, was.length)
			}
		}
		f.drain.Store(&d)
	}
	g.wakeDrain()
}
