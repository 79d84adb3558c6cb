// Package pool lends the instances of one version of a function to invocations, each to
// one at a time, and starts and stops them by demand.
//
// It knows neither what an instance is nor how long one is worth keeping: both are the
// caller's. The rules are those of Lambda's concurrency ("Understanding Lambda function
// scaling"): an invocation that finds none idle starts one, and one that would exceed
// what is reserved is throttled at once instead of waiting.
package pool

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// The errors of [Pool.Lend].
var (
	ErrThrottled = errors.New("all instances that the function may have are at work")
	ErrClosed    = errors.New("the version takes no more invocations")
)

// Config is what a pool is made with.
type Config[I comparable] struct {
	Max int // instances at the most; at least 1
	Min int // that stay, however long they are idle
	// Start makes an instance that is ready, or says why there is none: a failure of the
	// function's own start. It is called without a lock, by goroutines of the pool.
	Start func(ctx context.Context) (I, error)
	// Stop ends an instance. It is called once for each that Start made, and may block.
	Stop func(i I)
	Now  func() time.Time
	// Turns has room for the starts that nobody waits for yet, of all pools that share it:
	// so many at a time, so that a start that an invocation waits for has the machine
	// first. Nil: all start at once.
	Turns chan struct{}
	// Starts has room for those that an invocation waits for, likewise. On a machine that has
	// all of its processors at work more of them at a time would end later, all of them, and
	// slow the calls down that would make them needless. Nil: all start at once.
	Starts chan struct{}
}

// Pool lends instances. Its methods may be called from any goroutine.
type Pool[I comparable] struct {
	cfg    Config[I]
	ctx    context.Context //nolint:containedctx // of the pool's own starts: they outlive the call that began them
	cancel context.CancelFunc
	work   sync.WaitGroup // starts and stops under way

	mu       sync.Mutex
	idle     []idle[I]       // the one that was used last stands last, and is lent first
	busy     map[I]time.Time // since when
	call     time.Duration   // that one takes, as a moving average
	begin    time.Duration   // that a start takes, likewise
	starting int
	ahead    []*ahead     // of those: that wait for a turn
	waiting  []*waiter[I] // oldest first
	closed   bool
	emptied  chan struct{} // closed when the pool is closed and nothing is busy
}

// idle is an instance that nobody has.
type idle[I comparable] struct {
	instance I
	since    time.Time
}

// waiter is an invocation without an instance.
type waiter[I comparable] struct {
	lent chan loan[I] // holds one
	late bool         // it has waited longer than was to be expected
}

// loan is what a waiter gets.
type loan[I comparable] struct {
	instance I
	cold     bool
	err      error
}

// New makes a pool without instances.
func New[I comparable](cfg Config[I]) *Pool[I] {
	ctx, cancel := context.WithCancel(context.Background())
	cfg.Max = max(cfg.Max, 1)
	cfg.Min = min(cfg.Min, cfg.Max)
	return &Pool[I]{cfg: cfg, ctx: ctx, cancel: cancel, busy: map[I]time.Time{}, emptied: make(chan struct{})}
}

// Lend returns an instance for one invocation, to be given back by [Pool.Return]. Cold
// says that it was started meanwhile and has worked for nobody.
//
// An invocation that waits takes whatever is there first, an instance that becomes idle
// or one that has started: it never waits behind a cold start when a warm one is free. One
// is started for it unless those at work are expected to be free sooner, by what calls and
// starts have taken so far: a burst of short calls would be slowed down by nothing more
// than by starts.
// The error is ErrThrottled, ErrClosed, the context's, or what Start said.
func (p *Pool[I]) Lend(ctx context.Context) (i I, cold bool, err error) {
	var none I
	p.mu.Lock()
	i, ok := p.take()
	switch {
	case ok:
		p.mu.Unlock()
		return i, false, nil
	case p.closed:
		p.mu.Unlock()
		return none, false, ErrClosed
	case len(p.busy)+len(p.waiting) >= p.cfg.Max:
		p.mu.Unlock()
		return none, false, ErrThrottled
	}
	w := &waiter[I]{lent: make(chan loan[I], 1)}
	p.waiting = append(p.waiting, w)
	p.startWanted()
	late := time.NewTimer(p.patience())
	defer late.Stop()
	p.mu.Unlock()
	for waits := true; waits; {
		select {
		case l := <-w.lent:
			return l.instance, l.cold, l.err
		case <-late.C:
			p.mu.Lock()
			w.late = true
			p.startWanted()
			p.mu.Unlock()
		case <-ctx.Done():
			waits = false
		}
	}
	p.mu.Lock()
	if at := slices.Index(p.waiting, w); at >= 0 {
		p.waiting = slices.Delete(p.waiting, at, at+1)
		p.mu.Unlock()
		return none, false, context.Cause(ctx)
	}
	p.mu.Unlock()
	l := <-w.lent // it came in the same moment
	if l.err == nil {
		p.Return(l.instance, false)
	}
	return none, false, context.Cause(ctx)
}

// Take is Lend of an instance that is idle, without a wait; ok is false when none is.
func (p *Pool[I]) Take() (i I, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.take()
}

// take is Take with the lock held.
func (p *Pool[I]) take() (i I, ok bool) {
	if len(p.idle) == 0 { // as of a closed pool
		return i, false
	}
	last := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	p.busy[last.instance] = p.cfg.Now()
	return last.instance, true
}

// Return gives an instance back. One that is broken is stopped: its process has ended,
// or nobody knows what it does. One that Close has stopped meanwhile is none any more.
func (p *Pool[I]) Return(i I, broken bool) {
	p.mu.Lock()
	since, known := p.busy[i]
	delete(p.busy, i)
	if known {
		p.call += (p.cfg.Now().Sub(since) - p.call) / 8
	}
	over := len(p.idle)+len(p.busy) >= p.cfg.Max // Max was lowered meanwhile
	stop := known && (broken || over || !p.give(i, false))
	if stop { // before settle: Close waits for it
		p.stop(i)
	}
	p.startWanted()
	p.settle()
	p.mu.Unlock()
}

// Warm starts instances until so many are there or on their way, at most Max. It does
// not wait for them, and they wait for their turn (Config.Turns).
func (p *Pool[I]) Warm(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.closed && len(p.idle)+len(p.busy)+p.starting < min(n, p.cfg.Max) {
		p.startAhead()
	}
}

// Expire stops the instances that have been idle longer than keep, but for Min of all.
func (p *Pool[I]) Expire(keep time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, spare := p.cfg.Now(), len(p.idle)+len(p.busy)-p.cfg.Min
	p.idle = slices.DeleteFunc(p.idle, func(one idle[I]) bool {
		if spare <= 0 || now.Sub(one.since) <= keep {
			return false
		}
		spare--
		p.stop(one.instance)
		return true
	})
}

// Count is how many instances are idle, at work, and starting.
func (p *Pool[I]) Count() (idle, busy, starting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle), len(p.busy), p.starting
}

// Close lets nothing more in, waits until what is lent has been given back or the
// context ends, and stops all instances. Whatever is lent then is stopped, too, and may
// be given back later. It returns when all starts and stops have ended.
func (p *Pool[I]) Close(ctx context.Context) {
	p.mu.Lock()
	p.closed = true
	for _, w := range p.waiting {
		w.lent <- loan[I]{err: ErrClosed}
	}
	p.waiting = nil
	out := p.idle
	p.idle = nil
	p.settle()
	p.mu.Unlock()
	p.cancel()
	for _, one := range out {
		p.stop(one.instance)
	}
	select {
	case <-p.emptied:
	case <-ctx.Done():
	}
	p.mu.Lock()
	var cut []I
	for i := range p.busy {
		cut = append(cut, i)
	}
	clear(p.busy)
	p.settle()
	p.mu.Unlock()
	for _, i := range cut {
		p.stop(i)
	}
	p.work.Wait()
}
