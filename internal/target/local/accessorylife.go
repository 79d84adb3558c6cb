package local

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"titrate/internal/accessory"
	"titrate/internal/world"

	"golang.org/x/sys/unix"
)

const (
	accessoryLook   = 100 * time.Millisecond // between two questions to one that starts
	accessoryWell   = 5 * time.Second        // and to one that is ready
	accessoryAsk    = 10 * time.Second       // how long an answer may take
	accessoryMisses = 3                      // questions without an answer until it counts as not well
	accessoryGrace  = 30 * time.Second       // to end: a database writes down what it has
)

// live is the accessory's life. It returns when it has ended, or is let go.
func (h *held) live(ctx context.Context) {
	defer h.leave()
	caring, uncare := context.WithCancel(ctx)
	defer uncare()
	h.s.wg.Go(func() { h.care(caring) })
	for {
		if h.proc == nil {
			if !h.awaitTurn(ctx) {
				return
			}
			if err := h.start(ctx); err != nil {
				h.failed(ctx, err.Error())
				continue
			}
		}
		why, asked := h.serve(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case closed(h.stop):
			if h.end(ctx) {
				h.s.cfg.Log.Info("an accessory has ended; its data stays", append(h.attrs(), slog.String("folder", h.dir))...)
			}
			return
		case asked:
			if !h.end(ctx) {
				return
			}
			h.s.cfg.Log.Info("an accessory is started again, as it was asked for", h.attrs()...)
			h.proc.letGo()
			h.proc = nil
		default:
			h.failed(ctx, why)
		}
	}
}

func (h *held) leave() {
	h.out.close()
	if h.proc != nil {
		h.proc.letGo()
	}
	h.s.mu.Lock()
	h.ended = closed(h.stop)
	h.s.touch()
	h.s.mu.Unlock()
	h.s.nudge()
}

// awaitTurn waits for the time of the next start, and for the values that it needs.
func (h *held) awaitTurn(ctx context.Context) bool {
	var d time.Duration
	if h.fails > 0 {
		d = min(mostDelay, firstDelay<<min(h.fails-1, 10))
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-h.again:
		h.fails = 0
		return true
	case <-h.stop:
	case <-ctx.Done():
	}
	return false
}

// serve asks the accessory again and again whether it is well, until it ends, is to
// end or to start again, which is what was asked then, or ctx does. It returns why it
// ended.
func (h *held) serve(ctx context.Context) (why string, asked bool) {
	misses := 0
	for pause := time.Duration(0); ; {
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-h.proc.done:
			t.Stop()
			return h.proc.exit.String(), false
		case <-h.again:
			t.Stop()
			return "", true
		case <-h.stop:
			t.Stop()
			return "", false
		case <-ctx.Done():
			t.Stop()
			return "", false
		}
		h.s.mu.Lock()
		p, told, state := h.place(), h.told, h.rec.State
		h.s.mu.Unlock()
		pause = accessoryLook
		if !told {
			continue // its values are not known yet: it goes on as it was
		}
		err := h.ask(ctx, p)
		switch {
		case ctx.Err() != nil, closed(h.stop):
		case err == nil:
			misses, h.fails, pause = 0, 0, accessoryWell
			if state != world.AccessoryReady {
				h.change(world.AccessoryReady, h.refusal(p))
				h.s.cfg.Log.Info("an accessory is ready", append(h.attrs(), slog.String("addr", p.Addr()))...)
			}
		case state == world.AccessoryReady:
			if misses++; misses >= accessoryMisses {
				h.change(world.AccessoryUnready, "it does not answer: "+err.Error())
			}
		default:
			pause = min(10*accessoryLook, pause+accessoryLook)
			h.change(state, "it does not answer yet: "+shortError(err)+h.elsewhere(p))
		}
	}
}

// refusal says what was asked for and is not done to data that is there.
func (h *held) refusal(p accessory.Place) string {
	if p.Spec.Port != 0 && p.Spec.Port != p.Port && p.Spec.Image == "" {
		return fmt.Sprintf("it keeps port %d, which programs that run were given, and not %d", p.Port, p.Spec.Port)
	}
	if kind, err := accessory.Of(p.Spec); err == nil {
		if _, err := kind.Make(p); err != nil {
			return err.Error()
		}
	}
	return ""
}

func (h *held) ask(ctx context.Context, p accessory.Place) error {
	kind, err := accessory.Of(p.Spec)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, accessoryAsk)
	defer cancel()
	if p.Spec.Health != "" {
		return h.s.probe.check(ctx, p.Addr(), p.Spec.Health)
	}
	return kind.Check(ctx, p)
}

// failed takes note of an end that nobody asked for.
func (h *held) failed(ctx context.Context, why string) {
	if h.proc != nil {
		h.family().end(ctx, 0, h.s.hurry)
		select {
		case <-h.proc.done:
		case <-ctx.Done():
			return
		}
		h.out.drain()
		why = h.noted(why)
		if lines := h.out.lastLines(5); len(lines) > 0 {
			why = failureText(why, lines)
		}
		h.proc.letGo()
		h.proc = nil
	}
	if ctx.Err() != nil {
		return
	}
	h.fails++
	h.s.mu.Lock()
	h.rec.PID, h.rec.Start, h.rec.Making = 0, 0, false
	h.rec.Restarts++
	h.s.mu.Unlock()
	h.s.cfg.Log.Warn("an accessory ended", append(h.attrs(), slog.String("why", why))...)
	h.change(world.AccessoryBackoff, why)
}

// end ends it: as gently as it can, then with force. It returns false when ctx ended
// before: it lives on.
func (h *held) end(ctx context.Context) bool {
	h.change(world.AccessoryStopping, "")
	h.s.mu.Lock()
	p := h.place()
	h.s.mu.Unlock()
	sig := unix.SIGTERM
	if kind, err := accessory.Of(p.Spec); err == nil && kind.Gentle() {
		sig = unix.SIGINT
	}
	h.proc.signal(sig)
	select {
	case <-h.proc.done:
	case <-time.After(accessoryGrace):
	case <-h.s.hurry:
	case <-ctx.Done():
		return false
	}
	h.family().end(ctx, 0, h.s.hurry)
	if ctx.Err() != nil {
		return false
	}
	<-h.proc.done
	h.sweep(p.Spec)
	h.out.drain()
	h.s.mu.Lock()
	h.rec.PID, h.rec.Start = 0, 0
	rec := h.rec
	h.s.mu.Unlock()
	_ = h.s.save(h.file(), rec) // told of by save
	return true
}

func (h *held) family() family {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	return family{token: h.rec.Token, pid: h.proc.pid, start: h.proc.start}
}

// change gives it another state, and stores that.
func (h *held) change(state world.AccessoryState, why string) {
	h.s.mu.Lock()
	if h.rec.State == state && h.why == why {
		h.s.mu.Unlock()
		return
	}
	moved := h.rec.State != state
	h.rec.Served = h.rec.served() || state == world.AccessoryReady
	if moved {
		h.rec.State, h.rec.Since = state, h.s.cfg.Now()
	}
	h.why = why
	rec := h.rec
	h.s.touch()
	h.s.mu.Unlock()
	if moved {
		_ = h.s.save(h.file(), rec) // told of by save
	}
}
