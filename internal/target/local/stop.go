package local

import (
	"context"
	"log/slog"
	"time"

	"titrate/internal/world"

	"golang.org/x/sys/unix"
)

// end drains the instance and ends its process: no new requests, then those that
// it has up to the fleet's drain (R17), then SIGTERM, then SIGKILL to all that is
// left of it. It returns false when ctx ended before: the process lives on, and
// the next supervisor goes on with its end.
func (in *instance) end(ctx context.Context) bool {
	rec := in.snapshot()
	began := rec.Since
	if rec.State != world.InstanceDraining {
		in.change(world.InstanceDraining, "")
		began = in.s.cfg.Now()
		in.s.cfg.Log.Info("an instance drains", in.attrs()...)
	}
	in.awaitIdle(ctx, began, rec)
	if ctx.Err() != nil {
		return false
	}
	grace := max(in.s.cfg.Grace, rec.Fleet.Drain-in.s.cfg.Now().Sub(began))
	asked := in.s.cfg.Now()
	in.proc.signal(unix.SIGTERM)
	select {
	case <-in.proc.done:
	case <-time.After(grace):
		in.s.cfg.Log.Warn("an instance is killed: it ignored SIGTERM", append(in.attrs(), slog.Duration("grace", grace))...)
	case <-in.s.hurry:
	case <-ctx.Done():
		return false
	}
	// What its process left behind gets what is left of the grace: of a shell
	// that ran the program, say.
	left := grace - in.s.cfg.Now().Sub(asked)
	in.family().end(ctx, left, in.s.hurry)
	if ctx.Err() != nil {
		return false
	}
	<-in.proc.done
	in.sweep()
	in.out.drain()
	return true
}

// awaitIdle returns when nothing is open at the instance, or the time for that is
// over, or nobody waits for it any more.
func (in *instance) awaitIdle(ctx context.Context, began time.Time, rec instanceRecord) {
	// Two looks: a request that was routed just before may not be counted yet.
	const looks, pause = 2, 10 * time.Millisecond
	for idle := 0; idle < looks; {
		if in.s.cfg.Now().Sub(began) >= rec.Fleet.Drain || rec.Fleet.Worker || !rec.WasReady {
			return
		}
		if in.s.cfg.Open(rec.Addr) == 0 {
			idle++
		} else {
			idle = 0
		}
		select {
		case <-time.After(pause):
		case <-in.proc.done:
			return
		case <-in.s.hurry:
			return
		case <-ctx.Done():
			return
		}
	}
}
