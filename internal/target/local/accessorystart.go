package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"titrate/internal/accessory"
	"titrate/internal/world"
)

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
