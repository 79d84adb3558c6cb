package gateway

import (
	"context"
	"slices"
	"sync"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// ledger keeps the windows that closed, in the order in which they did.
type ledger struct {
	mu     sync.Mutex
	last   time.Time               // where the open windows began
	asked  time.Time               // when that was, by a clock that knows what has passed
	cursor uint64                  // of the newest window
	ring   [][]world.VersionWindow // one closing each, oldest first
	keep   int
	closed chan struct{} // closed, and made anew, when windows close
}

func (l *ledger) begin(now time.Time, after uint64, keep int) {
	l.last, l.asked, l.cursor, l.keep, l.closed = now.Round(0), now, after, keep, make(chan struct{})
}

// Windows returns the closed windows with a cursor above after, oldest first.
// When there is none it waits for the next to close; it returns nothing only
// when ctx ends. What was closed too long ago to be kept is absent.
func (g *Gateway) Windows(ctx context.Context, after uint64) []world.VersionWindow {
	l := &g.windows
	for {
		l.mu.Lock()
		closed := l.closed
		ws := l.since(after)
		l.mu.Unlock()
		if len(ws) > 0 {
			return ws
		}
		select {
		case <-ctx.Done():
			return nil
		case <-closed:
		}
	}
}

// since returns copies of the windows above a cursor. Guarded by mu.
func (l *ledger) since(after uint64) (ws []world.VersionWindow) {
	for i := len(l.ring) - 1; i >= 0; i-- {
		batch := l.ring[i]
		if batch[len(batch)-1].Cursor <= after {
			break
		}
		for j := range slices.Backward(batch) {
			if batch[j].Cursor <= after {
				break
			}
			ws = append(ws, batch[j])
		}
	}
	slices.Reverse(ws)
	return ws
}

// add numbers the windows of one closing and wakes who waits. Cursors are
// microseconds of the clock, or one more than the last where that is ahead: they
// grow across restarts without being stored.
func (l *ledger) add(now time.Time, batch []world.VersionWindow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	l.cursor = max(l.cursor, uint64(now.UnixMicro()))
	for i := range batch {
		l.cursor++
		batch[i].Cursor = l.cursor
	}
	if len(l.ring) == l.keep {
		l.ring = slices.Delete(l.ring, 0, 1)
	}
	l.ring = append(l.ring, batch)
	close(l.closed)
	l.closed = make(chan struct{})
}

// AdoptWindows takes over what the gateway before this one keeps, cursors and all, before
// Serve: whoever reads windows goes on where it was. What is too old to be kept is left out.
func (g *Gateway) AdoptWindows(ws []world.VersionWindow) {
	oldest := g.cfg.Clock().Add(-time.Duration(g.cfg.Ring) * time.Second)
	batch := slices.DeleteFunc(slices.Clone(ws), func(w world.VersionWindow) bool { return w.Start.Before(oldest) })
	if len(batch) == 0 {
		return
	}
	for _, w := range batch {
		g.wasBusy(w)
	}
	l := &g.windows
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring = append(l.ring, batch)
	l.cursor = max(l.cursor, batch[len(batch)-1].Cursor)
}

// AddWindows takes over windows that another gateway closes while it ends, with cursors of
// this one's: each once, under the epoch that it has.
func (g *Gateway) AddWindows(ws []world.VersionWindow) {
	type name struct {
		epoch   string
		key     rollout.Key
		version rollout.Version
		start   int64
	}
	nameOf := func(w world.VersionWindow) name { return name{w.Epoch, w.Key, w.Version, w.Start.UnixNano()} }
	known := map[name]bool{}
	l := &g.windows
	l.mu.Lock()
	for _, batch := range l.ring {
		for _, w := range batch {
			if w.Epoch != g.cfg.Epoch {
				known[nameOf(w)] = true
			}
		}
	}
	l.mu.Unlock()
	fresh := slices.DeleteFunc(slices.Clone(ws), func(w world.VersionWindow) bool { return known[nameOf(w)] })
	for _, w := range fresh {
		g.wasBusy(w)
	}
	l.add(g.cfg.Clock(), fresh)
}

// wasBusy notes that a workload had requests in a window of another gateway.
func (g *Gateway) wasBusy(w world.VersionWindow) {
	if w.Requests > 0 || w.Throttles > 0 {
		g.busy(w.Key, w.Start.Add(w.Length))
	}
}

// span returns where the windows that close at end began, and opens the next
// ones. ok is false when no time has passed. After the clock was set, back or forth, they
// are as long as has passed since the last ones closed, as if they had begun by the new
// time. Now is the clock's own answer, which knows what has passed.
func (l *ledger) span(end, now time.Time) (start time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	start = l.last
	passed := max(now.Sub(l.asked).Round(time.Second), time.Second)
	switch set := end.Sub(start) - passed; {
	case set.Abs() >= setBy:
		start = end.Add(-passed)
	case !end.After(start):
		return start, false
	}
	l.last, l.asked = end, now
	return start, true
}

// setBy is how much a clock is off what has passed when it was set.
const setBy = 2 * time.Second

// closeLoop closes windows at each second of the wall clock, until ctx ends.
func (g *Gateway) closeLoop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := g.cfg.Clock()
		timer.Reset(now.Truncate(time.Second).Add(time.Second).Sub(now))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			g.closeWindows(g.cfg.Clock().Truncate(time.Second))
		}
	}
}

// closeWindows closes the open window of every version that has traffic, a ready
// instance, or something to tell. A gateway that was held up closes one longer
// window instead of several: what it counted belongs to all of them.
func (g *Gateway) closeWindows(end time.Time) {
	start, ok := g.windows.span(end.Round(0), g.cfg.Clock())
	if !ok {
		return
	}
	if g.cfg.BeforeClose != nil {
		g.cfg.BeforeClose()
	}
	var batch []world.VersionWindow
	for _, f := range g.inOrder() {
		w, told := f.meter.take()
		if !told && (!f.live || g.isRelieved()) { // the next one tells that nothing came
			continue
		}
		w.Start, w.Length, w.QueueAge = start.UTC(), end.Sub(start), f.queueAge
		batch = append(batch, world.VersionWindow{Epoch: g.cfg.Epoch, Key: f.key, Version: f.version, Window: w})
		if w.Requests > 0 || w.Throttles > 0 {
			g.busy(f.key, end)
		}
	}
	g.windows.add(end, batch)
	for _, l := range g.table.Load().lanes {
		if l.split != nil && l.stable != 0 {
			l.budget.sample(end, l.drawn())
		}
	}
	g.sweep(end)
}

// liveFleet is a fleet at the time of a closing.
type liveFleet struct {
	*fleet
	live     bool
	share    rollout.Weight
	queueAge time.Duration // of a version with traffic
}

// inOrder returns the fleets by workload and version.
func (g *Gateway) inOrder() []liveFleet {
	g.mu.Lock()
	defer g.mu.Unlock()
	fs := make([]liveFleet, 0, len(g.fleets))
	for _, f := range g.fleets {
		at := liveFleet{fleet: f, share: f.weight, live: f.weight > 0 || len(*f.ready.Load()) > 0}
		if f.weight > 0 {
			at.queueAge = g.queueAges[f.key]
		}
		fs = append(fs, at)
	}
	slices.SortFunc(fs, func(a, b liveFleet) int {
		if a.key != b.key {
			return slices.Compare([]string{a.key.App, a.key.Env, a.key.Workload}, []string{b.key.App, b.key.Env, b.key.Workload})
		}
		return int(a.version - b.version)
	})
	return fs
}

// busy notes that a workload had requests until now.
func (g *Gateway) busy(k rollout.Key, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if since, ok := g.idle[k]; ok && now.After(since) {
		g.idle[k] = now
	}
}

// unusedFor is how long a fleet that nothing names is kept, so that a request
// that began by an old snapshot still finds its account.
const unusedFor = time.Minute

// sweep forgets instances and fleets that are of no more use.
func (g *Gateway) sweep(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, f := range g.fleets {
		switch {
		case !f.sweep():
			f.left = time.Time{}
		case f.left.IsZero():
			f.left = now
		case now.Sub(f.left) > unusedFor:
			delete(g.fleets, id)
		}
	}
}
