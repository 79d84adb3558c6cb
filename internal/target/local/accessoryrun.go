package local

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"titrate/internal/accessory"

	"golang.org/x/sys/unix"
)

// run runs a command to its end, confined as the accessory is. It can read the files
// that it is given besides. An error has its last lines.
func (w keeping) run(ctx context.Context, c accessory.Command, what string, read ...string) error {
	return w.with(ctx, c, what, nil, read...)
}

// with runs a command, and do beside it: then it is asked to end when that is done.
func (w keeping) with(ctx context.Context, c accessory.Command, what string, do func(context.Context) error, read ...string) error {
	h := w.h
	dir := filepath.Join(h.files(), "task")
	if err := mkfifos(dir); err != nil {
		return err
	}
	file := h.s.logFile(h.key)
	out, err := openOutputs(dir, h.redact, func(stream string, lines [][]byte) { file.write(h.key.Workload+"-task", stream, lines) })
	if err != nil {
		return err
	}
	defer out.close()
	h.s.mu.Lock()
	token := h.rec.Token + "-task"
	h.s.mu.Unlock()
	// One that an earlier supervisor left behind would write into the same file.
	if pid := (&spawned{}).pid(token); pid != 0 {
		if old, err := openProcess(pid, 0, ""); err == nil {
			family{token: token, pid: pid, start: old.start}.end(ctx, 0, h.s.hurry)
			old.letGo()
		}
	}
	proc, failed, err := h.s.spawnAs(h.confined(c, token, read...), out, notRoot())
	if err != nil {
		return fmt.Errorf("start %s: %w", what, err)
	}
	defer proc.letGo()
	h.s.wg.Go(proc.watch)
	text := failed()
	if do != nil && text == "" {
		err = beside(ctx, proc, do)
		proc.signal(unix.SIGTERM)
	}
	select {
	case <-proc.done:
	case <-ctx.Done():
		family{token: token, pid: proc.pid, start: proc.start}.end(context.WithoutCancel(ctx), 0, h.s.hurry)
		<-proc.done
		return ctx.Err()
	}
	out.drain()
	switch e := proc.exit; {
	case text != "":
		return fmt.Errorf("start %s: %s", what, text)
	case do != nil && !errors.Is(err, errEnded):
		return err
	case !e.known || e.signal != "" || e.code != 0:
		return errors.New(strings.TrimSuffix(failureText(what+" "+e.String(), out.lastLines(10)), "; it wrote nothing"))
	}
	return err
}

// errEnded is the cause of a context whose process has ended.
var errEnded = errors.New("it has ended")

// beside does something while a process lives. It returns errEnded when that ends before.
func beside(ctx context.Context, proc *process, do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-proc.done:
			cancel(errEnded)
		case <-done:
		}
	}()
	return do(ctx)
}
