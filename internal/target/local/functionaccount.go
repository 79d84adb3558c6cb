package local

import (
	"sync"
	"time"

	"titrate/internal/target/local/keepalive"
	"titrate/internal/world"
)

const (
	peakEvery = 30 * time.Second
	peaks     = 10 // of five minutes: what FleetSeen.Concurrency is of
)

// account counts the calls of a version. Safe for many.
type account struct {
	past *past

	mu      sync.Mutex
	running int
	invoked uint64
	most    [peaks]peak
}

// peak is the most that were at work at a time in a part of the last minutes.
type peak struct {
	number int64 // of the part, since 1970
	most   int
}

// begin counts a call that is at work from now on.
func (a *account) begin(now time.Time) {
	a.past.begin(now)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running++
	a.peak(now)
}

// peak notes how many are at work. The lock is held.
func (a *account) peak(now time.Time) {
	number := now.UnixNano() / int64(peakEvery)
	p := &a.most[number%peaks]
	if p.number != number {
		*p = peak{number: number}
	}
	p.most = max(p.most, a.running)
}

// end counts one that is not any more. invoked says that it was a real invocation.
func (a *account) end(now time.Time, invoked bool) {
	a.mu.Lock()
	a.peak(now)
	a.running--
	if invoked {
		a.invoked++
	}
	a.mu.Unlock()
	a.past.end(now)
}

// seen is how many real invocations have ended, and the most that were at work at a time
// in the last five minutes.
func (a *account) seen(now time.Time) (invoked uint64, concurrency int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	concurrency = a.running
	for _, p := range a.most {
		if age := now.UnixNano()/int64(peakEvery) - p.number; age >= 0 && age < peaks {
			concurrency = max(concurrency, p.most)
		}
	}
	return a.invoked, concurrency
}

// seenCalls tells of a function's calls. The caller holds Supervisor.mu.
func (f *fleet) seenCalls(to *world.FleetSeen, now time.Time) {
	if f.account == nil {
		return
	}
	invoked, concurrency := f.account.seen(now)
	if f.fn != nil { // who was throttled was at work for a moment
		concurrency = min(concurrency, f.fn.most())
	}
	to.Invoked, to.Concurrency = invoked, concurrency
}

// past is what is remembered of when a function is called, over all its versions. Safe
// for many.
type past struct {
	mu      sync.Mutex
	history keepalive.History
	running int
	ended   time.Time // the last call; zero: none has yet
	began   bool      // a call has, since it was stored
	stored  time.Time
}

func (p *past) begin(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == 0 {
		p.history.Began(now)
	}
	p.running++
	p.began = true
}

func (p *past) end(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running--; p.running == 0 {
		p.history.Ended(now)
		p.ended = now
	}
}

// plan is how long instances that are idle live, and when the function was last at work:
// zero where it is, or has never been since the supervisor began.
func (p *past) plan() (w keepalive.Windows, ended time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == 0 {
		ended = p.ended
	}
	return p.history.Windows(keepalive.Default()), ended
}
