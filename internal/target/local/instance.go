package local

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

const (
	firstDelay = 100 * time.Millisecond // before the first restart; each further one doubles it
	mostDelay  = 30 * time.Second
	steady     = 30 * time.Second // an instance that was ready so long begins with the first delay again
)

// instance is one process of a version, from the wish for it until it is gone:
// the processes that follow each other in its place share its id.
type instance struct {
	s *Supervisor
	f *fleet

	stop chan struct{} // closed when it is to end
	now  chan struct{} // start without waiting for the delay

	// Of live alone.
	proc   *process
	out    *outputs
	became time.Time  // when the launcher became the program
	fails  int        // in a row, for the delay
	moves  int        // ports in a row that were taken by others
	locks  []*os.File // of its volumes, until its process has them

	disk   sync.Mutex // one writer of the record at a time
	erased bool       // it has been removed

	// Guarded by Supervisor.mu.
	rec   instanceRecord
	why   string
	begun bool // live has been called
	// volumes are those that its process has, or may have; nil: it has none, or none lives.
	volumes rollout.Volumes
}

func newInstance(s *Supervisor, f *fleet, index int) *instance {
	return &instance{
		s: s, f: f, stop: make(chan struct{}), now: make(chan struct{}, 1),
		rec: instanceRecord{
			ID: instanceID(f.id.key, f.id.version, index), Token: rand.Text(), Key: f.id.key, Version: f.id.version,
			Index: index, Boot: s.boot, State: world.InstanceStarting, Since: s.cfg.Now(),
		},
	}
}

// ending is why an instance stopped serving.
type ending struct {
	kind endKind
	why  string
}

type endKind int

const (
	letGo   endKind = iota // the supervisor ends; the process lives on
	stopped                // it is asked to end
	exited                 // by itself
	late                   // not ready in time
	moved                  // its port is another program's: it needs one more
)

// live is the instance's life. It returns when it is gone, or let go.
func (in *instance) live(ctx context.Context) {
	defer func() {
		closeAll(in.locks)
		in.out.close()
		if in.proc != nil {
			in.proc.letGo()
		}
	}()
	for {
		if in.proc == nil {
			turn := in.awaitTurn(ctx)
			if turn == exited {
				turn = in.awaitVolumes(ctx)
			}
			if turn != exited {
				if turn == stopped {
					in.gone()
				}
				return
			}
			if err := in.awaitAccessories(ctx); err != nil {
				in.failed(ctx, ending{late, err.Error()})
				continue
			}
			if ctx.Err() != nil || closed(in.stop) {
				continue // awaitTurn ends it
			}
			if err := in.start(ctx); err != nil {
				in.failed(ctx, ending{exited, "could not be started: " + err.Error()})
				continue
			}
		}
		switch end := in.serve(ctx); end.kind {
		case letGo:
			return
		case stopped:
			if in.end(ctx) {
				in.gone()
			}
			return
		default:
			in.failed(ctx, end)
		}
	}
}

// awaitTurn waits until it is time to start the process: at once the first time,
// later after a delay. Without the values of its environment it cannot start.
func (in *instance) awaitTurn(ctx context.Context) endKind {
	select {
	case <-in.now:
	default:
	}
	t := time.NewTimer(in.delay())
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return letGo
		case <-in.stop:
			return stopped
		case <-t.C:
		case <-in.now:
			in.fails = 0
		}
		in.s.mu.Lock()
		told := in.f.told
		in.s.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return letGo
		case closed(in.stop):
			return stopped
		case told:
			return exited // nothing runs: start
		}
	}
}

// hasten ends the delay before the next start.
func (in *instance) hasten() {
	select {
	case in.now <- struct{}{}:
	default:
	}
}

func (in *instance) delay() time.Duration {
	if in.fails == 0 {
		return 0
	}
	d := min(mostDelay, firstDelay<<min(in.fails-1, 10))
	return d - d/5 + mrand.N(2*d/5) // so that what fell together does not rise together
}

// serve makes the process ready and keeps watching it until something ends that.
func (in *instance) serve(ctx context.Context) ending {
	serving, cancel := context.WithCancel(ctx)
	defer cancel()
	done := in.proc.done
	in.s.wg.Go(func() {
		select {
		case <-done:
		case <-in.stop:
		case <-serving.Done():
		}
		cancel()
	})
	var end ending
	if st := in.snapshot().State; st != world.InstanceReady && st != world.InstanceUnready {
		end = in.awaitReady(serving)
	}
	if end.kind != late && end.kind != moved {
		in.keepWell(serving)
	}
	switch {
	case ctx.Err() != nil:
		return ending{kind: letGo}
	case closed(in.stop):
		return ending{kind: stopped}
	case closed(in.proc.done):
		rec := in.snapshot()
		text, hint := in.s.cause(rec.Group, rec.Fleet.Limits, rec.Over, in.proc.exit)
		if note := in.noted(rec); note != "" {
			text = note
		}
		return ending{exited, fmt.Sprintf("%s after %s%s", text, roundAge(in.s.cfg.Now().Sub(rec.Spawned)), hint)}
	default:
		return end
	}
}

// failed takes note of an end that nobody asked for, and makes room for the next
// process.
func (in *instance) failed(ctx context.Context, end ending) {
	rec := in.withdraw()
	if in.proc != nil {
		var patience time.Duration
		if end.kind != exited {
			patience = 2 * time.Second
		}
		in.family().end(ctx, patience, in.s.hurry)
		select {
		case <-in.proc.done:
		case <-ctx.Done():
			return // live lets go of it
		}
	}
	in.sweep()
	in.out.drain()
	lines := in.out.lastWords(10)
	if in.proc != nil {
		in.proc.letGo()
		in.proc = nil
	}
	in.letGoOfVolumes()
	early := rec.State == world.InstanceStarting
	if early && rec.Port != 0 && end.kind == exited && !canListen(ctx, rec.Port) && ctx.Err() == nil {
		end.kind = moved
	}
	if end.kind == moved && in.moves < 5 {
		in.moves, in.fails = in.moves+1, 0
		in.s.cfg.Log.Warn("a port was taken by another program", append(in.attrs(), slog.Int("port", rec.Port))...)
		in.change(world.InstanceStarting, end.why)
		return
	}
	served := rec.State == world.InstanceReady || rec.State == world.InstanceUnready
	if served && in.s.cfg.Now().Sub(rec.Since) > steady {
		in.fails = 0
	}
	in.fails++
	in.s.cfg.Log.Warn("an instance ended", append(in.attrs(), slog.String("why", end.why))...)
	if !rec.WasReady && !closed(in.stop) { // what is not wanted any more need not start
		in.s.fail(in.f, failureText(rec.ID+" "+end.why+in.portHint(rec), lines))
	}
	in.countRestart(end.why)
	in.change(world.InstanceBackoff, end.why)
}

// withdraw keeps requests from an instance that has failed, before anything else
// is done about it. It returns what the instance was.
func (in *instance) withdraw() instanceRecord {
	in.s.mu.Lock()
	rec := in.rec
	if rec.State == world.InstanceReady {
		in.rec.State = world.InstanceUnready
	}
	in.s.mu.Unlock()
	in.s.publish(in.f.id)
	return rec
}

// portHint explains why a second process of a service that ignores $PORT fails.
func (in *instance) portHint(rec instanceRecord) string {
	port := rec.Fleet.Port
	if port == 0 || port == rec.Port || rec.Fleet.Image != nil {
		return ""
	}
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	for _, f := range in.s.fleets {
		for _, other := range f.instances {
			if other != in && other.rec.PID != 0 && portOf(other.rec.Addr) == port {
				return fmt.Sprintf("; port %d is used by %s: a service that ignores $PORT can run once, read $PORT instead", port, other.rec.ID)
			}
		}
	}
	return ""
}

// countRestart counts what never un-counts, and keeps why.
func (in *instance) countRestart(why string) {
	in.s.mu.Lock()
	in.rec.Last = why
	in.rec.Restarts++
	in.f.rec.Restarts++
	rec := in.f.rec
	in.s.mu.Unlock()
	_ = in.s.save(in.s.layout.fleet(in.f.id), rec) // told of by save
}

// change gives the instance another state: told to the gateway, then stored.
func (in *instance) change(state world.InstanceState, why string) {
	in.s.mu.Lock()
	if in.rec.State != state {
		in.rec.State, in.rec.Since = state, in.s.cfg.Now()
	}
	in.rec.WasReady = in.rec.WasReady || state == world.InstanceReady
	if state == world.InstanceBackoff {
		delete(in.s.taken, in.rec.Port)
		in.rec.PID, in.rec.Start, in.rec.Port, in.rec.Addr = 0, 0, 0, ""
	}
	in.why = why
	in.s.touch()
	in.s.mu.Unlock()
	in.s.publish(in.f.id)
	_ = in.store() // told of by save
}

// explain says what keeps the instance from being well.
func (in *instance) explain(why string) {
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	if in.why != why {
		in.why = why
		in.s.touch()
	}
}

// gone forgets the instance, on the disk first: what is not seen any more leaves
// nothing behind.
func (in *instance) gone() {
	rec := in.snapshot()
	in.s.cfg.Log.Info("an instance is gone", in.attrs()...)
	in.s.removeGroup(rec.Group)
	in.disk.Lock()
	in.erased = true
	in.s.forget(in.s.layout.instance(rec.Key, rec.ID), in.s.layout.runDir(rec.Key, rec.ID))
	in.disk.Unlock()
	in.s.mu.Lock()
	delete(in.s.taken, in.rec.Port)
	in.f.instances = slices.DeleteFunc(in.f.instances, func(other *instance) bool { return other == in })
	in.s.touch()
	in.s.mu.Unlock()
	in.s.publish(in.f.id)
	in.s.nudge()
}

func (in *instance) snapshot() instanceRecord {
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	return in.rec
}

// store writes the record as it is now, unless the instance is gone.
func (in *instance) store() error {
	in.disk.Lock()
	defer in.disk.Unlock()
	if in.erased {
		return nil
	}
	rec := in.snapshot()
	return in.s.save(in.s.layout.instance(rec.Key, rec.ID), rec)
}

func (in *instance) family() family {
	return family{token: in.snapshot().Token, pid: in.proc.pid, start: in.proc.start}
}

// sweep has what the instance's process may have left in the container engine
// removed: a shim that is killed leaves its container.
func (in *instance) sweep() {
	if engined(in.snapshot().Fleet) {
		in.s.swept()
	}
}

func (in *instance) attrs() []any {
	return append(in.f.id.attrs(), slog.String("instance", in.snapshot().ID))
}

// roundAge keeps two or three digits of how long something ran.
func roundAge(d time.Duration) time.Duration {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond)
	case d < time.Minute:
		return d.Round(100 * time.Millisecond)
	default:
		return d.Round(time.Second)
	}
}
