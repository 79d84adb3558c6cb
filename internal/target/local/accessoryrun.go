package local

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

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
	return w.perform(ctx, job{what: what, name: "task", start: func(token string, out *outputs) (*process, func() string, error) {
		return w.h.s.spawnAs(w.h.confined(c, token, read...), out, notRoot())
	}}, do)
}

// job is a process beside the accessory, of which there is one of each name.
type job struct {
	what  string // for people
	name  string
	start func(token string, out *outputs) (p *process, failed func() string, err error)
}

// perform has a job done, and do beside it: nil, and it is waited for.
func (w keeping) perform(ctx context.Context, j job, do func(context.Context) error) error {
	h := w.h
	dir := filepath.Join(h.files(), j.name)
	if err := mkfifos(dir); err != nil {
		return err
	}
	file := h.s.logFile(h.key)
	out, err := openOutputs(dir, h.redact, func(stream string, lines [][]byte) { file.write(h.key.Workload+"-"+j.name, stream, lines) })
	if err != nil {
		return err
	}
	defer out.close()
	h.s.mu.Lock()
	token := h.rec.Token + "-" + j.name
	h.s.mu.Unlock()
	w.clear(ctx, token)
	proc, failed, err := j.start(token, out)
	if err != nil {
		return fmt.Errorf("start %s: %w", j.what, err)
	}
	defer proc.letGo()
	h.s.wg.Go(proc.watch)
	text := failed()
	var grace <-chan time.Time
	if do != nil && text == "" {
		err = beside(ctx, proc, do)
		proc.signal(unix.SIGTERM)
		grace = time.After(accessoryGrace)
	}
	fam := family{token: token, pid: proc.pid, start: proc.start}
	select {
	case <-proc.done:
	case <-grace:
		fam.end(context.WithoutCancel(ctx), 0, h.s.hurry)
		<-proc.done
	case <-ctx.Done():
		fam.end(context.WithoutCancel(ctx), 0, h.s.hurry)
		<-proc.done
		return ctx.Err()
	}
	out.drain()
	switch e := proc.exit; {
	case text != "":
		return fmt.Errorf("start %s: %s", j.what, text)
	case do != nil && !errors.Is(err, errEnded):
		return err
	case !e.known || e.signal != "" || e.code != 0:
		return errors.New(strings.TrimSuffix(failureText(j.what+" "+e.String(), out.lastLines(10)), "; it wrote nothing"))
	}
	return err
}

// clear ends what an earlier supervisor left behind: it would write into the same file.
func (w keeping) clear(ctx context.Context, token string) {
	pid := (&spawned{}).pid(token)
	if pid == 0 {
		return
	}
	if old, err := openProcess(pid, 0, ""); err == nil {
		family{token: token, pid: pid, start: old.start}.end(ctx, 0, w.h.s.hurry)
		old.letGo()
	}
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
