package local

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"titrate/internal/durable"
	"titrate/internal/rollout"
	"titrate/internal/target/local/keepalive"
	"titrate/internal/world"
)

const (
	tendEvery  = time.Second
	watchEvery = 100 * time.Millisecond // of the memory of what is at work, where the machine keeps no limit
	storeEvery = time.Minute            // of a function's history
)

// tendFunctions looks once a second at which instances are worth keeping, and stores
// what was counted.
func (s *Supervisor) tendFunctions(ctx context.Context) {
	for wait(ctx, tendEvery) {
		s.tend()
		s.storePasts(storeEvery)
	}
}

// tend is one look.
func (s *Supervisor) tend() {
	now := s.cfg.Now()
	s.mu.Lock()
	var all []*function
	for _, f := range s.fleets {
		if f.fn != nil && f.told {
			all = append(all, f.fn)
		}
	}
	changed := s.countInvoked(now)
	s.mu.Unlock()
	for _, fn := range all {
		fn.tend(now)
	}
	if changed {
		s.nudge()
	}
}

// countInvoked takes what was counted into the records. The caller holds mu.
func (s *Supervisor) countInvoked(now time.Time) (changed bool) {
	for _, f := range s.fleets {
		if before := f.concurrency; f.countInvoked(now) {
			s.dirty = append(s.dirty, f.rec)
			changed = true
			s.touch()
		} else if f.concurrency != before {
			s.touch()
		}
	}
	return changed
}

// countInvoked is that of one fleet. The caller holds mu.
func (f *fleet) countInvoked(now time.Time) (changed bool) {
	if f.account == nil {
		return false
	}
	invoked, concurrency := f.account.seen(now)
	changed = invoked != f.rec.Invoked
	f.rec.Invoked, f.concurrency = invoked, concurrency
	return changed
}

// tend keeps as many instances as are worth it: those that were asked for while that is
// new, Scale.Min always, and else what the function's own idle times say.
func (fn *function) tend(now time.Time) {
	s, w := fn.s, fn.wish.Load()
	s.mu.Lock()
	shown, recent := fn.f.rec.Shown, now.Before(fn.warm)
	resting := now.Before(fn.notUntil)
	ahead := fn.ahead
	s.mu.Unlock()
	if shown == 0 || shown < w.spec.Count {
		return // run is at it
	}
	if w.weight > 0 && w.spec.Scale.Min > 0 && !resting {
		fn.pool.Warm(w.spec.Scale.Min)
	}
	if recent {
		if !resting {
			fn.pool.Warm(w.spec.Count)
		}
		return
	}
	windows, ended := fn.account.past.plan()
	switch act := decide(windows, ended, now); {
	case act.start && w.weight > 0 && !ended.Equal(ahead):
		s.mu.Lock()
		fn.ahead = ended
		s.mu.Unlock()
		fn.pool.Warm(1)
	default:
		fn.pool.Expire(act.keep)
	}
}

// action is what follows from the windows of the policy.
type action struct {
	start bool          // an instance is to be there before the next call
	keep  time.Duration // how long an instance may be idle
}

// decide applies the windows to a function whose last call ended at ended; zero: it is
// at work, or never was.
func decide(w keepalive.Windows, ended, now time.Time) action {
	switch {
	case w.PreWarm == 0:
		return action{keep: w.Keep}
	case ended.IsZero(): // what others leave idle while it is at work is worth a minute at least
		return action{keep: max(w.Keep, time.Minute)}
	case w.Warm(ended, now):
		return action{start: true, keep: w.Keep}
	default: // too early, or too late
		return action{}
	}
}

// watchFunctions keeps the memory limits of what is at work where the machine does not:
// a function is faster than the look once a second that services get.
func (s *Supervisor) watchFunctions(ctx context.Context) {
	if s.cfg.Groups.Memory() {
		return
	}
	m := meter{programs: map[int]string{}}
	for wait(ctx, watchEvery) {
		all := map[int]*bound{}
		s.mu.Lock()
		for _, f := range s.fleets {
			for _, e := range f.environments() {
				if e.atWork.Load() {
					e.addBound(all)
				}
			}
		}
		s.mu.Unlock()
		if len(all) > 0 {
			s.keepMemory(all, m.usages(func(sid int) bool { return all[sid] != nil }))
		}
	}
}

// addBound adds the environment to those with a limit of memory. The caller holds mu.
func (e *environment) addBound(to map[int]*bound) {
	if e.pid != 0 && e.spec.Limits.Memory > 0 && !e.over.Load() && e.state != world.InstanceDraining {
		to[e.pid] = &bound{e.group, e.spec.Limits, e.start, func() { e.over.Store(true) }}
	}
}

// pastOf returns what is remembered of a function. The caller holds mu.
func (s *Supervisor) pastOf(k rollout.Key) *past {
	p := s.pasts[k]
	if p != nil {
		return p
	}
	p = &past{stored: s.cfg.Now()}
	if _, err := load(s.layout.past(k), &p.history); err != nil {
		// It is learned again.
		s.cfg.Log.Error("read when a function was called", slog.Any("error", err))
		p.history = keepalive.History{}
	}
	s.pasts[k] = p
	return p
}

// storePasts stores what was remembered and has not been for so long.
func (s *Supervisor) storePasts(every time.Duration) {
	now := s.cfg.Now()
	s.mu.Lock()
	all := map[rollout.Key]*past{}
	for k, p := range s.pasts {
		all[k] = p
	}
	s.mu.Unlock()
	for k, p := range all {
		p.mu.Lock()
		var text []byte
		var err error
		if p.began && now.Sub(p.stored) >= every {
			text, err = json.Marshal(&p.history)
			p.began, p.stored = false, now
		}
		p.mu.Unlock()
		if err == nil && text != nil {
			err = os.MkdirAll(filepath.Dir(s.layout.past(k)), 0o700)
			if err == nil {
				err = durable.WriteFile(s.layout.past(k), text)
			}
		}
		if err != nil {
			s.cfg.Log.Error("store when a function was called", slog.Any("error", err))
		}
	}
}

// storeFunctions stores what is known at the end.
func (s *Supervisor) storeFunctions() {
	s.mu.Lock()
	s.countInvoked(s.cfg.Now())
	s.mu.Unlock()
	s.storeDirty()
	s.storePasts(0)
}
