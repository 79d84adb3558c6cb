package events

import (
	"context"
	"sync"
	"time"
)

// gate lets a number of calls go at a time. When functions are not reached it closes for
// a while, longer each time, and then opens slowly: half as many calls, and one more with
// each that got through.
type gate struct {
	mu      sync.Mutex
	most    int // set by the manifest
	now     int // allowed now, 1 to most
	open    int // calls that are under way
	strikes int
	until   time.Time
	round   int           // grows with each strike
	moved   chan struct{} // closed when a call may go that could not before
}

// The shortest and the longest time for which a gate closes.
const (
	shortPause = 100 * time.Millisecond
	longPause  = 15 * time.Second
)

func newGate(most int) *gate {
	return &gate{most: most, now: most, moved: make(chan struct{})}
}

// set changes how many calls there may be.
func (g *gate) set(most int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.now == g.most || g.now > most {
		g.now = most
	}
	g.most = most
	g.tell()
}

func (g *gate) tell() {
	close(g.moved)
	g.moved = make(chan struct{})
}

// enter waits until a call may go. It returns the round that the call belongs to.
func (g *gate) enter(ctx context.Context, e *Events) (int, error) {
	for {
		g.mu.Lock()
		moved, until := g.moved, g.until
		if g.open < g.now && !e.clock.Now().Before(until) {
			g.open++
			round := g.round
			g.mu.Unlock()
			return round, nil
		}
		full := g.open >= g.now
		g.mu.Unlock()
		if full {
			select {
			case <-moved:
			case <-ctx.Done():
				return 0, ctx.Err()
			}
			continue
		}
		if err := e.wait(ctx, until); err != nil {
			return 0, err
		}
	}
}

// The ways in which a call that entered can end.
type passage int

const (
	idle    passage = iota // there was nothing to call with
	passed                 // the function was reached
	refused                // it was not
)

// leave ends a call that entered in round.
func (g *gate) leave(p passage, round int, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open--
	switch {
	case p == passed:
		g.strikes, g.now = 0, min(g.most, g.now+1)
	case p == refused && round == g.round: // those that went together are one strike
		g.round++
		g.until = now.Add(min(longPause, shortPause<<min(g.strikes, 10)))
		g.strikes, g.now = g.strikes+1, max(1, g.now/2)
	}
	g.tell()
}
