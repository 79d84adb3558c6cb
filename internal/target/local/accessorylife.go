package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
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

// start makes the data where there is none, and starts what serves it.
func (h *held) start(ctx context.Context) error {
	select {
	case <-h.again: // this is it
	default:
	}
	h.s.mu.Lock()
	do := h.betweens
	h.s.mu.Unlock()
	if do != nil {
		do()
	}
	h.s.mu.Lock()
	h.betweens = nil
	h.tries++
	why := h.why
	h.s.mu.Unlock()
	h.change(world.AccessoryStarting, why)
	if err := os.MkdirAll(filepath.Join(h.files(), "tmp"), 0o700); err != nil {
		return fmt.Errorf("make its folder: %w", err)
	}
	if err := h.markMade(); err != nil {
		return err
	}
	if err := h.choosePort(ctx); err != nil {
		return err
	}
	h.s.mu.Lock()
	p := h.place()
	h.rec.Boot, h.rec.Spec = h.s.boot, h.want.Spec
	h.s.mu.Unlock()
	kind, err := accessory.Of(p.Spec)
	if err != nil {
		return err
	}
	if err := h.make(ctx, kind, p); err != nil {
		return err
	}
	c, err := kind.Serve(p)
	if err != nil {
		return err
	}
	return h.spawn(ctx, p, c, false)
}

// choosePort takes a port at the first start, and keeps it for ever: programs that run
// were given it.
func (h *held) choosePort(ctx context.Context) error {
	h.s.mu.Lock()
	port, spec := h.rec.Port, h.want.Spec
	h.s.mu.Unlock()
	if port == 0 && spec.Image == "" { // an image's is within
		port = spec.Port
	}
	if port == 0 {
		free, err := h.s.exchangePort(ctx, 0)
		if err != nil {
			return err
		}
		port = free
	} else if !canListen(ctx, port) {
		return fmt.Errorf("port %d is taken by another program\n  help    ss -ltnp 'sport = :%d' shows which; end it, or give the accessory another port", port, port)
	}
	h.s.mu.Lock()
	h.s.taken[port] = true
	h.rec.Port = port
	h.s.mu.Unlock()
	return nil
}

// make makes the data beside its place and then moves it there, so that half of it is
// never taken for all.
func (h *held) make(ctx context.Context, kind accessory.Kind, p accessory.Place) error {
	c, err := kind.Make(p)
	if err != nil || c == nil {
		return err
	}
	if err := os.RemoveAll(p.Making()); err != nil {
		return fmt.Errorf("clear away what was half made: %w", err)
	}
	h.change(world.AccessoryStarting, "its data is made")
	if err := h.spawn(ctx, p, *c, true); err != nil {
		return err
	}
	select {
	case <-h.proc.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	exit := h.proc.exit
	h.out.drain()
	lines := h.out.lastLines(10)
	h.proc.letGo()
	h.proc = nil
	if !exit.known || exit.signal != "" || exit.code != 0 {
		return errors.New(failureText("its data could not be made: "+exit.String(), lines))
	}
	if err := os.Rename(p.Making(), p.Data()); err != nil {
		return fmt.Errorf("put its data in place: %w", err)
	}
	return nil
}

// spawn starts a command of the accessory: confined as workloads are, and never as
// root, which databases refuse.
func (h *held) spawn(ctx context.Context, p accessory.Place, c accessory.Command, making bool) error {
	if h.out == nil {
		if err := h.openOutputs(); err != nil {
			return err
		}
	}
	h.out.forget()
	h.s.mu.Lock()
	h.rec.Making, h.rec.PID, h.rec.Start = making, 0, 0
	rec := h.rec
	h.s.mu.Unlock()
	if err := h.s.save(h.file(), rec); err != nil {
		return err // a process whose accessory is not on the disk must not exist
	}
	proc, failed, err := h.launched(ctx, p, c, making, rec.Token)
	if err != nil {
		return err
	}
	h.proc = proc
	h.s.wg.Go(proc.watch)
	h.s.mu.Lock()
	h.rec.PID, h.rec.Start = proc.pid, proc.start
	rec = h.rec
	h.s.touch()
	h.s.mu.Unlock()
	_ = h.s.save(h.file(), rec) // told of by save; the token finds the process too
	if text := failed(); text != "" {
		select {
		case <-proc.done:
		case <-ctx.Done():
		}
		return errors.New(text)
	}
	return nil
}

// launched starts the process of a command, or of the accessory's image.
func (h *held) launched(ctx context.Context, at accessory.Place, c accessory.Command, making bool, token string) (p *process, failed func() string, err error) {
	if at.Spec.Image != "" && !making {
		l, err := h.imaged(ctx, at, c.Env, token)
		if err != nil {
			return nil, nil, err
		}
		return h.s.spawn(l, h.out)
	}
	p, failed, err = h.s.spawnAs(h.confined(c, token), h.out, notRoot())
	if err != nil {
		err = fmt.Errorf("%w\n  help    as root it needs a user namespace, which this machine may forbid: run titrate as another user", err)
	}
	return p, failed, err
}

// confined is a command of the accessory as the launcher becomes it: it sees nothing of
// the data folder but the accessory's own files, and what it is given to read besides.
func (h *held) confined(c accessory.Command, token string, read ...string) launch {
	tmp := filepath.Join(h.files(), "tmp")
	return launch{
		Argv: c.Argv, Dir: c.Dir, Hide: []string{h.s.cfg.Data, h.s.cfg.Program}, ReadOnly: append([]string{h.s.cfg.Program}, read...), Writable: []string{h.files()},
		Env: append([]string{
			"PATH=" + pathOr("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), "LANG=C.UTF-8", "HOME=" + tmp, "TMPDIR=" + tmp, tokenVar + "=" + token,
		}, c.Env...),
	}
}

// notRoot returns the user that root is seen as, in a user namespace of its own, by a
// program that refuses to run as root. Its files stay root's outside. Nil for a
// supervisor that is not root.
func notRoot() *int {
	if os.Geteuid() != 0 {
		return nil
	}
	uid := 65534
	// initdb wants one that has a name.
	for _, name := range []string{"nobody", "postgres"} {
		if u, err := user.Lookup(name); err == nil {
			if n, err := strconv.Atoi(u.Uid); err == nil && n != 0 {
				uid = n
				break
			}
		}
	}
	return &uid
}

func pathOr(otherwise string) string {
	if p := os.Getenv("PATH"); p != "" {
		return p
	}
	return otherwise
}

func (h *held) openOutputs() error {
	dir := filepath.Join(h.files(), "out")
	if err := mkfifos(dir); err != nil {
		return err
	}
	file := h.s.logFile(h.key)
	out, err := openOutputs(dir, h.redact, func(stream string, lines [][]byte) { file.write(h.key.Workload, stream, lines) })
	if err != nil {
		return err
	}
	h.out = out
	return nil
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
