package pool

import (
	"slices"
	"sync"
	"time"
)

// ahead is a start that waits for its turn.
type ahead struct{ asked chan struct{} } // closed when an invocation waits for it

// How long a start has its turn at the most: what takes longer waits for something itself.
const (
	aheadTurn  = 250 * time.Millisecond // of those that nobody waits for
	wantedTurn = 100 * time.Millisecond // of those that an invocation does
)

// startWanted starts instances until there is one on its way for each waiter that wants
// one, as far as the pool may grow: for whom those at work are not free before one has
// started. Who has waited longer than was to be expected wants one, too, but no more of
// them at a time than are at work: of a machine that is held up, a start for each would be
// the end, and what grows so doubles with each start. The lock is held.
func (p *Pool[I]) startWanted() {
	want := p.wanted()
	for len(p.ahead) > 0 && p.starting-len(p.ahead) < want {
		close(p.ahead[0].asked)
		p.ahead = p.ahead[1:]
	}
	for !p.closed && p.starting < want && len(p.idle)+len(p.busy)+p.starting < p.cfg.Max {
		p.start(nil)
	}
}

// wanted is how many starts the waiters want. The lock is held.
func (p *Pool[I]) wanted() int {
	want, late := 0, 0
	for at, w := range p.waiting {
		switch {
		case time.Duration(at+1)*p.call >= p.begin*time.Duration(len(p.busy)):
			want++
		case w.late:
			late++
		}
	}
	return want + min(late, max(1, len(p.busy)))
}

// patience is how long a waiter waits that is expected to get an instance from those at
// work, before it is late: some calls, and no longer than a start. The lock is held.
func (p *Pool[I]) patience() time.Duration {
	return min(max(4*p.call, time.Millisecond), max(p.begin, time.Millisecond))
}

// startAhead starts one that nobody waits for yet, when it has its turn. The lock is held.
func (p *Pool[I]) startAhead() {
	if p.cfg.Turns == nil {
		p.start(nil)
		return
	}
	a := &ahead{asked: make(chan struct{})}
	p.ahead = append(p.ahead, a)
	p.start(a)
}

// start starts one instance; nil: at once. The lock is held.
func (p *Pool[I]) start(a *ahead) {
	p.starting++
	p.work.Go(func() {
		over, want := p.await(a)
		if !want {
			return
		}
		defer over()
		began := p.cfg.Now()
		i, err := p.cfg.Start(p.ctx)
		p.mu.Lock()
		p.starting--
		if err != nil {
			p.failed(err)
			p.startWanted()
			p.mu.Unlock()
			return
		}
		if took := p.cfg.Now().Sub(began); p.begin == 0 {
			p.begin = took
		} else {
			p.begin += (took - p.begin) / 4
		}
		kept := p.give(i, true)
		p.startWanted() // for who is late still
		p.mu.Unlock()
		if !kept {
			p.cfg.Stop(i)
		}
	})
}

// await returns when a start may begin, and what ends its turn; false: nobody wants it any
// more. One that nobody waited for has no turn to wait for when an invocation does.
func (p *Pool[I]) await(a *ahead) (over func(), want bool) {
	if a == nil {
		return p.awaitWanted()
	}
	select {
	case p.cfg.Turns <- struct{}{}:
	case <-a.asked:
		return func() {}, true
	case <-p.ctx.Done(): // Start sees it, too
		return func() {}, true
	}
	p.mu.Lock()
	p.ahead = slices.DeleteFunc(p.ahead, func(other *ahead) bool { return other == a })
	p.mu.Unlock()
	return endOf(p.cfg.Turns, aheadTurn), true
}

// awaitWanted is await of a start for the waiters. When it has its turn they may have what
// they want, from instances that had become free.
func (p *Pool[I]) awaitWanted() (over func(), want bool) {
	if p.cfg.Starts == nil {
		return func() {}, true
	}
	select {
	case p.cfg.Starts <- struct{}{}:
	case <-p.ctx.Done():
		return func() {}, true
	}
	over = endOf(p.cfg.Starts, wantedTurn)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.starting-len(p.ahead) > p.wanted() {
		p.starting--
		over()
		return nil, false
	}
	return over, true
}

// endOf ends a turn when it is called, or at its limit.
func endOf(turns chan struct{}, limit time.Duration) (over func()) {
	end := sync.OnceFunc(func() { <-turns })
	timer := time.AfterFunc(limit, end)
	return func() {
		timer.Stop()
		end()
	}
}

// failed tells the oldest waiter that the function does not start: it is what Lambda
// answers, and to try again for the same invocation would keep it from being seen. The
// lock is held.
func (p *Pool[I]) failed(err error) {
	if len(p.waiting) > p.starting { // the others have one on its way
		p.waiting[0].lent <- loan[I]{err: err}
		p.waiting = p.waiting[1:]
	}
}

// give lends an instance to the oldest waiter, or keeps it idle; it reports false where
// the pool is closed and the instance is to be stopped. The lock is held.
func (p *Pool[I]) give(i I, cold bool) bool {
	switch {
	case p.closed:
		return false
	case len(p.waiting) > 0:
		p.waiting[0].lent <- loan[I]{instance: i, cold: cold}
		p.waiting = p.waiting[1:]
		p.busy[i] = p.cfg.Now()
	default:
		p.idle = append(p.idle, idle[I]{instance: i, since: p.cfg.Now()})
	}
	return true
}

// stop ends an instance that stands in none of the lists any more. But for Close, which
// waits for it, the lock is held.
func (p *Pool[I]) stop(i I) { p.work.Go(func() { p.cfg.Stop(i) }) }

// settle tells Close that nothing is lent any more. The lock is held.
func (p *Pool[I]) settle() {
	if p.closed && len(p.busy) == 0 {
		select {
		case <-p.emptied:
		default:
			close(p.emptied)
		}
	}
}
