package local

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/target/local/pool"
	"titrate/internal/target/local/runtimeapi"
	"titrate/internal/world"
)

const (
	// warmFor is how long as many instances as were asked for stay warm after that, or
	// the traffic, has changed.
	warmFor = time.Minute
	// mostAtWork is Lambda's own limit, where none is given ("Lambda quotas").
	mostAtWork = 1000
)

// function is a version of a function while it takes calls: a pool of environments, and
// not a number of instances. It begins when the version is wanted, by count or by
// weight, and is retired when it is not; a version that is wanted again gets another.
//
// It is the [invocation.Callee] of its version.
type function struct {
	s       *Supervisor
	f       *fleet
	id      string // "quotes-v3"
	account *account
	pool    *pool.Pool[*environment]

	kick    chan struct{} // run has something to look at
	told    chan struct{} // closed once its values are known: before, nothing can start
	retired chan struct{} // closed when it takes no more calls
	cut     chan struct{} // closed when nothing of it is waited for any more
	cutOnce sync.Once

	wish atomic.Pointer[wish] // nil until told

	// Guarded by Supervisor.mu.
	begun    bool // run has been called
	adopted  bool // it was there before a restart
	envs     []*environment
	split    []world.Share
	warm     time.Time // until when Count instances stay
	failure  error     // of a start, not looked at yet
	fails    int       // of starts, in a row
	blamed   bool      // the fleet's Failure is of them
	notUntil time.Time // the next start after them
	ahead    time.Time // the end of the call after which one was started ahead of the next
}

// wish is what is wanted of a version as its calls need it. It does not change once made.
type wish struct {
	spec     world.Fleet
	identity runtimeapi.Function
	timeout  time.Duration
	weight   rollout.Weight
	door     *door
}

// newFunction makes one for a fleet. The caller holds mu.
func (s *Supervisor) newFunction(f *fleet) *function {
	if f.account == nil {
		f.account = &account{invoked: f.rec.Invoked, past: s.pastOf(f.id.key)}
	}
	fn := &function{
		s: s, f: f, id: f.id.key.Workload + "-" + f.id.version.String(), account: f.account,
		kick: make(chan struct{}, 1), told: make(chan struct{}), retired: make(chan struct{}), cut: make(chan struct{}),
	}
	fn.pool = pool.New(pool.Config[*environment]{
		Max: mostAtWork, Now: s.cfg.Now, Start: fn.start, Stop: func(e *environment) { e.end(fn.s.grace()) }, Turns: s.turns, Starts: s.starts,
	})
	return fn
}

// wantFunction takes what is wanted of a version of a function now. The caller holds mu.
func (s *Supervisor) wantFunction(f *fleet, w world.Workload) {
	weight := weightOf(w.Split, f.id.version)
	if f.spec.Count == 0 && weight == 0 {
		s.retire(f)
		return
	}
	if f.fn == nil {
		f.fn = s.newFunction(f)
	}
	f.fn.want(w, weight)
}

// want is wantFunction of one that takes calls.
func (fn *function) want(w world.Workload, weight rollout.Weight) {
	spec, before := fn.f.spec, fn.wish.Load()
	most := spec.Scale.Max
	if most <= 0 {
		most = mostAtWork
	}
	fn.pool.Resize(most, spec.Scale.Min)
	known := fn.adopted && before == nil // the first call starts an instance
	changed := before == nil || before.spec.Count != spec.Count || !slices.Equal(fn.split, w.Split)
	if changed && !known {
		fn.warm = fn.s.cfg.Now().Add(warmFor)
	}
	if fn.blamed && fn.f.rec.Failure == "" { // another attempt (R7)
		fn.notUntil, fn.fails, fn.blamed = time.Time{}, 0, false
	}
	fn.split = w.Split
	next := &wish{spec: spec, weight: weight, timeout: spec.Function.Timeout, identity: fn.s.identity(fn.f.id, spec)}
	if next.timeout <= 0 {
		next.timeout = 3 * time.Second // Lambda's own default
	}
	if before != nil && before.door.triggers == w.Triggers {
		next.door = before.door
	} else {
		next.door = fn.s.newDoor(fn.f.id.key, w.Triggers)
	}
	fn.wish.Store(next)
	if before == nil {
		close(fn.told)
	}
	fn.nudge()
}

// identity is what a process is told of the function that it is.
func (s *Supervisor) identity(id fleetID, spec world.Fleet) runtimeapi.Function {
	memory := int(spec.Limits.Memory >> 20)
	if memory == 0 {
		memory = 128 // Lambda's own default
	}
	return runtimeapi.Function{
		Name: id.key.Workload, Version: strconv.FormatInt(int64(id.version), 10), Handler: spec.Function.Handler,
		Memory: memory, Root: s.artifact(spec.Artifact), Runtime: spec.Function.Runtime,
	}
}

// retire has the function of a fleet take no more calls, and end. The caller holds mu.
func (s *Supervisor) retire(f *fleet) {
	if f.fn == nil {
		return
	}
	close(f.fn.retired)
	f.leaving = append(f.leaving, f.fn)
	f.fn = nil
	s.touch()
}

func weightOf(split []world.Share, v rollout.Version) rollout.Weight {
	for _, share := range split {
		if share.Version == v {
			return share.Weight
		}
	}
	return 0
}

// functions are those of a fleet that have anything left. The caller holds mu.
func (f *fleet) functions() []*function {
	if f.fn == nil {
		return f.leaving
	}
	return append(slices.Clone(f.leaving), f.fn)
}

// environments are those of a fleet. The caller holds mu.
func (f *fleet) environments() []*environment {
	var all []*environment
	for _, fn := range f.functions() {
		all = append(all, fn.envs...)
	}
	return all
}

// beginFunctions calls run of those for which it has not been. The caller holds mu.
func (s *Supervisor) beginFunctions() {
	for _, f := range s.fleets {
		for _, fn := range f.functions() {
			if !fn.begun {
				fn.begun = true
				s.calls.Go(func() { fn.run(s.calling) })
			}
		}
	}
}

// leaveFunctions ends functions with Run, whose processes cannot outlive who gives them
// work, or leaves them to go on for as long as they may be drawn: a gateway that ends still
// has requests.
func (s *Supervisor) leaveFunctions() {
	if s.cfg.Drawn == nil {
		s.endCalls()
		s.calls.Wait()
		return
	}
	go func() {
		<-s.cfg.Drawn
		s.endCalls()
	}()
}

// run is the life of a function, until it is gone or nothing draws it any more.
func (fn *function) run(ctx context.Context) {
	fn.s.publish(fn.f.id)
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			fn.abandon()
			fn.pool.Close(ctx)
			return
		case <-fn.retired:
			fn.drain(ctx)
			return
		case <-fn.kick:
		case <-again.C:
		}
		if retry := fn.bring(ctx); retry > 0 {
			again.Reset(retry)
		}
	}
}

// drain ends a function that is not wanted any more: no new calls, then those at work up
// to the fleet's drain, which is at least what one of them may take (R17).
func (fn *function) drain(ctx context.Context) {
	fn.s.publish(fn.f.id)
	w, patience := fn.wish.Load(), time.Duration(0)
	if w != nil {
		patience = max(w.spec.Drain, w.timeout)
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	over := make(chan struct{})
	fn.s.calls.Go(func() {
		select {
		case <-fn.s.hurry:
		case <-ctx.Done():
		case <-over:
			return
		}
		fn.abandon()
		cancel()
	})
	fn.pool.Close(limited)
	close(over)
	fn.s.mu.Lock()
	fn.f.leaving = slices.DeleteFunc(fn.f.leaving, func(other *function) bool { return other == fn })
	fn.s.touch()
	fn.s.mu.Unlock()
	fn.s.cfg.Log.Info("a function is gone", fn.f.id.attrs()...)
	fn.s.nudge()
}

// abandon has everything of the function end at once.
func (fn *function) abandon() { fn.cutOnce.Do(func() { close(fn.cut) }) }

// nudge makes run look once more.
func (fn *function) nudge() {
	select {
	case fn.kick <- struct{}{}:
	default:
	}
}

func (fn *function) attrs(more ...any) []any { return append(fn.f.id.attrs(), more...) }

// grace is how long an idle environment may take to end.
func (s *Supervisor) grace() time.Duration { return min(s.cfg.Grace, 2*time.Second) }

// startTimeout is how long an instance of a fleet may take to be ready (R14).
func startTimeout(spec world.Fleet) time.Duration {
	if spec.StartTimeout <= 0 {
		return defaultStartTimeout
	}
	return spec.StartTimeout
}
