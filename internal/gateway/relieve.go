package gateway

import (
	"context"
	"time"

	"titrate/internal/rollout"
)

// Serving is closed once Serve accepts connections.
func (g *Gateway) Serving() <-chan struct{} { return g.serving }

// Relieve ends Serve because another process accepts on the same sockets: this one stops
// accepting and lets what it has come to its end. Requests have as long as their version's
// drain, and at least Drain; streams have StreamDrain (R17). Tables go on to be applied,
// and drain what they take the traffic from. The end of Serve's context hurries it.
func (g *Gateway) Relieve() { g.relieve.Do(func() { close(g.relieved) }) }

// Closed is closed once Serve accepts nothing any more.
func (g *Gateway) Closed() <-chan struct{} { return g.closed }

func (g *Gateway) isRelieved() bool {
	select {
	case <-g.relieved:
		return true
	default:
		return false
	}
}

// OpenAt is how much is open on a version, of which what is at one address.
type OpenAt struct {
	Key     rollout.Key
	Version rollout.Version
	Addr    string
	Open    int
}

// OpenAll says where anything is open, previews included.
func (g *Gateway) OpenAll() (all []OpenAt) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, f := range g.fleets {
		for _, in := range f.all {
			if n := int(in.open.Load()); n > 0 {
				all = append(all, OpenAt{id.key, id.version, in.Addr, n})
			}
		}
	}
	return all
}

// bound ends over when the time of what is open has come: after Drain at the end of ctx, or
// after what R17 gives when the gateway was relieved.
func (g *Gateway) bound(ctx, over context.Context, end context.CancelFunc) {
	select {
	case <-g.relieved:
		if ctx.Err() == nil && after(ctx, over, g.leaveAll()+2*leaveTick) {
			end()
			return
		}
	default: // at the end of ctx, or because nothing can be accepted any more
	}
	g.drainAll()
	after(context.WithoutCancel(over), over, g.cfg.Drain+drainTick)
	end()
}

// after returns true after d, and false when one of two contexts has ended before.
func after(one, other context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-one.Done():
	case <-other.Done():
	}
	return false
}

// Settled reports whether a relieved gateway calls no function any more, and never will:
// what may still begin is a request whose head was under way.
func (g *Gateway) Settled() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left.IsZero() || time.Since(g.left) < g.cfg.IdleGrace+g.cfg.HeaderTimeout {
		return false
	}
	for _, f := range g.fleets {
		for _, in := range f.all {
			if in.Callee != nil && in.open.Load() > 0 {
				return false
			}
		}
	}
	return true
}
