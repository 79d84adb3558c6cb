package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"titrate/internal/invocation"
	"titrate/internal/world"
)

// bring makes the version what is wanted of it: as many instances as Count have to be
// shown able to start (R5), and its probe answered, before the gateway may know of it
// (R11). It does what can be done now; a positive answer is when to look again.
func (fn *function) bring(ctx context.Context) time.Duration {
	w := fn.wish.Load()
	if w == nil {
		return 0
	}
	s := fn.s
	s.mu.Lock()
	now := s.cfg.Now()
	rec, failure, wait, alive, recent := fn.f.rec, fn.failure, fn.notUntil.Sub(now), fn.alive(), now.Before(fn.warm)
	fn.failure = nil
	s.mu.Unlock()
	first, more := rec.Shown == 0, w.spec.Count > rec.Shown
	switch {
	case first && rec.Failure != "": // it waits for another attempt (R7)
		return 0
	case failure != nil && more:
		return fn.failed(failure)
	case failure != nil:
		return fn.backOff(failure)
	case wait > 0 && (more || recent):
		return wait
	case !more:
		if recent {
			fn.pool.Warm(w.spec.Count)
		}
		return 0
	}
	if first {
		if err := fn.able(ctx, w.spec); err != nil {
			return fn.failed(err)
		}
	}
	if alive < min(w.spec.Count, fn.most()) {
		fn.pool.Warm(w.spec.Count)
		return 0 // a start that ends nudges
	}
	if first && len(w.spec.Function.Probe) > 0 {
		if err := fn.probe(ctx, w.spec.Function.Probe); err != nil {
			if ctx.Err() != nil || closed(fn.retired) {
				return 0
			}
			return fn.failed(err)
		}
	}
	fn.shown(w.spec.Count)
	return 0
}

// most is how many instances there may be.
func (fn *function) most() int {
	if w := fn.wish.Load(); w != nil && w.spec.Scale.Max > 0 {
		return w.spec.Scale.Max
	}
	return mostAtWork
}

// alive counts the instances that have come to ask for work. The caller holds mu.
func (fn *function) alive() (n int) {
	for _, e := range fn.envs {
		if e.state == world.InstanceReady {
			n++
		}
	}
	return n
}

// able says why a version cannot run on this machine at all.
func (fn *function) able(ctx context.Context, spec world.Fleet) error {
	switch {
	case spec.Image != nil:
		return fmt.Errorf("%s cannot be started: a function in an image is not run yet; release it as a folder with a bootstrap, or for nodejs or python, or as a service", fn.id)
	case spec.Volumes.Exclusive():
		return fmt.Errorf("%s cannot be started: a volume that is not shared can be given to one instance only, and a function has several; write shared: true, or make it a service", fn.id)
	}
	runtime, err := fn.s.runtime(ctx, spec)
	if err == nil {
		err = runtime.check(ctx, fn.s.artifact(spec.Artifact), spec)
	}
	if err != nil {
		return fmt.Errorf("%s cannot be started: %w", fn.id, err)
	}
	return nil
}

// probe gives the version its stored event, before anybody else does.
func (fn *function) probe(ctx context.Context, event []byte) error {
	_, called := fn.Invoke(ctx, event, invocation.Call{ID: "probe-" + rand.Text(), Tail: true})
	if called.Failure == "" {
		return nil
	}
	text := fmt.Sprintf("%s failed its probe: %s: %s", fn.id, called.Type, called.Message)
	return errors.New(failureText(text, lastOf(called.Tail, 10)))
}

// failed takes note of what keeps the version from being shown, and returns when to try
// again: a version that never was is not tried again by itself.
func (fn *function) failed(err error) time.Duration {
	delay, s := fn.backOff(err), fn.s
	s.mu.Lock()
	fn.blamed = true
	fn.f.rec.Restarts++
	s.dirty = append(s.dirty, fn.f.rec)
	s.mu.Unlock()
	s.fail(fn.f, err.Error())
	s.nudge()
	return delay
}

// backOff has no instance be started ahead of calls for a while.
func (fn *function) backOff(err error) time.Duration {
	fn.s.cfg.Log.Warn("an instance of a function did not start", fn.attrs(slog.Any("error", err))...)
	fn.s.mu.Lock()
	defer fn.s.mu.Unlock()
	fn.fails++
	delay := min(mostDelay, firstDelay<<min(fn.fails-1, 10))
	fn.notUntil = fn.s.cfg.Now().Add(delay)
	return delay
}

// shown lets the gateway know of the version, and its fleet be seen ready.
func (fn *function) shown(count int) {
	s := fn.s
	s.mu.Lock()
	fn.f.rec.Shown, fn.fails = count, 0
	s.dirty = append(s.dirty, fn.f.rec)
	s.touch()
	s.mu.Unlock()
	s.publish(fn.f.id)
	s.cfg.Log.Info("a function is ready", fn.attrs(slog.Int("instances", count))...)
	s.nudge()
}

// shownReady is how many instances are seen ready of a version that is known to the
// gateway. The caller holds mu.
func (f *fleet) shownReady() int {
	if f.spec.Count == 0 || !f.told {
		return f.rec.Shown
	}
	return min(f.rec.Shown, f.spec.Count)
}
