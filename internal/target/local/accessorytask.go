package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"titrate/internal/accessory"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

const (
	careLook   = 500 * time.Millisecond // between two looks for something to do
	careAgain  = 10 * time.Minute       // after a backup that was due and failed
	careLength = 6 * time.Hour          // of one task at most

	rehearsal   = "titrate_rehearsal"
	restoration = "titrate_restoration"
)

// care looks after the data of an accessory that is ready: it does what is asked for,
// and makes the backups that are due, also while no server is there. One thing at a
// time; it returns when ctx ends or the accessory is to end.
func (h *held) care(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h.s.wg.Go(func() {
		select {
		case <-h.stop:
		case <-ctx.Done():
		}
		cancel()
	})
	h.tellBackups()
	t := time.NewTicker(careLook)
	defer t.Stop()
	var failed time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		h.s.mu.Lock()
		p, task, done, ready := h.place(), h.want.Task, h.rec.Task, h.told && h.rec.State == world.AccessoryReady
		h.s.mu.Unlock()
		kind, err := accessory.Of(p.Spec)
		keeper, ok := kind.(accessory.Keeper)
		w := keeping{h: h, p: p, k: keeper}
		asked := task != nil && (task.ID > done.ID || task.ID == done.ID && !done.State.Over())
		if asked && task.Kind == rollout.TaskRestart { // it need not be well for that
			h.do(ctx, w, *task)
			continue
		}
		if err != nil || !ok || !ready {
			continue
		}
		now := h.s.cfg.Now()
		switch {
		case asked:
			h.do(ctx, w, *task)
		case p.Spec.Every > 0 && !now.Before(h.due(p.Spec.Every)) && now.Sub(failed) >= careAgain:
			if h.byItself(ctx, w) != nil {
				failed = now
			}
		}
	}
}

// do does what was asked for, once: that it began is stored before it begins.
func (h *held) do(ctx context.Context, w keeping, task rollout.AccessoryTask) {
	began := h.s.cfg.Now()
	h.tellTask(world.TaskSeen{ID: task.ID, State: world.TaskRunning, Since: began})
	ctx, cancel := context.WithTimeout(ctx, careLength)
	defer cancel()
	why, err := w.task(ctx, task)
	if err != nil && (ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded)) {
		return // the supervisor ends: the next one does it again
	}
	seen := world.TaskSeen{ID: task.ID, State: world.TaskDone, Why: why, Since: h.s.cfg.Now()}
	if err != nil {
		seen.State, seen.Why = world.TaskFailed, err.Error()
		h.s.cfg.Log.Error("a task on an accessory failed", append(h.attrs(), slog.String("task", string(task.Kind)), slog.Any("error", err))...)
	} else {
		h.s.cfg.Log.Info("a task on an accessory is done", append(h.attrs(), slog.String("task", string(task.Kind)), slog.String("why", why))...)
	}
	h.tellBackups()
	h.tellTask(seen)
}

// byItself makes the backup that is due, and rehearses it.
func (h *held) byItself(ctx context.Context, w keeping) error {
	ctx, cancel := context.WithTimeout(ctx, careLength)
	defer cancel()
	b, err := w.backup(ctx)
	if err == nil {
		_, err = w.rehearse(ctx, b.Name)
	}
	unkept := ""
	switch {
	case err == nil:
		h.s.cfg.Log.Info("a backup was made and rehearsed", append(h.attrs(), slog.String("backup", b.Name), slog.Int64("bytes", b.Size))...)
	case ctx.Err() != nil:
		return err
	default:
		unkept = err.Error()
		h.s.cfg.Log.Error("a backup that was due could not be made", append(h.attrs(), slog.Any("error", err))...)
	}
	h.s.mu.Lock()
	h.unkept = unkept
	h.s.touch()
	h.s.mu.Unlock()
	h.tellBackups()
	return err
}

// tellBackups makes known what backups there are.
func (h *held) tellBackups() {
	all := h.backups()
	h.s.mu.Lock()
	h.kept = all
	h.s.touch()
	h.s.mu.Unlock()
}

// tellTask stores how far a task has come, and makes it known.
func (h *held) tellTask(seen world.TaskSeen) {
	h.s.mu.Lock()
	h.rec.Task = seen
	rec := h.rec
	h.s.touch()
	h.s.mu.Unlock()
	_ = h.s.save(h.file(), rec) // told of by save
}

// keeping is work on the data of an accessory that serves.
type keeping struct {
	h *held
	p accessory.Place
	k accessory.Keeper
}

// task does a task and says what came of it.
func (w keeping) task(ctx context.Context, t rollout.AccessoryTask) (string, error) {
	switch t.Kind {
	case rollout.TaskBackup:
		b, err := w.backup(ctx)
		return fmt.Sprintf("backup %s: %d tables, %d rows", b.Name, b.Tables, b.Rows), err
	case rollout.TaskRehearse:
		b, err := w.rehearse(ctx, t.Backup)
		return fmt.Sprintf("backup %s restores to %d tables with %d rows, as it was made", b.Name, b.Tables, b.Rows), err
	case rollout.TaskRestore:
		return w.restore(ctx, t)
	case rollout.TaskRestart:
		return w.h.restart(ctx)
	}
	return "", fmt.Errorf("this titrate does not know the task %q", t.Kind)
}

// backup writes the data down.
func (w keeping) backup(ctx context.Context) (world.Backup, error) {
	began := w.h.s.cfg.Now()
	b := world.Backup{Name: began.UTC().Format(backupName), At: began}
	f, err := w.k.Freeze(ctx, w.p)
	if err != nil {
		return b, err
	}
	defer f.Release()
	b.Tables, b.Rows, b.Version = f.Tables, f.Rows, f.Version
	into := filepath.Join(w.p.Dir, "dump")
	if err := os.RemoveAll(into); err != nil { // of a backup that was interrupted
		return b, fmt.Errorf("make room for a backup: %w", err)
	}
	c, err := w.k.Dump(w.p, f, into)
	if err == nil {
		err = w.run(ctx, c, "the dump")
	}
	if err != nil {
		_ = os.Remove(into) // removed before the next one otherwise
		return b, err
	}
	b.Took = w.h.s.cfg.Now().Sub(began)
	b, err = w.h.keepBackup(into, b)
	if err == nil && w.p.Spec.Keep > 0 {
		w.h.pruneBackups(w.p.Spec.Keep)
	}
	return b, err
}

// rehearse restores a backup beside the data, compares what it holds with what the
// data held when it was made, and throws it away.
func (w keeping) rehearse(ctx context.Context, name string) (world.Backup, error) {
	b, err := w.named(name)
	if err != nil {
		return b, err
	}
	err = w.restored(ctx, b, rehearsal)
	if derr := w.k.Drop(context.WithoutCancel(ctx), w.p, rehearsal); err == nil {
		err = derr
	}
	if ctx.Err() != nil {
		return b, ctx.Err()
	}
	b.Rehearsed, b.Problem = w.h.s.cfg.Now(), ""
	if err != nil {
		b.Problem = err.Error()
		err = fmt.Errorf("backup %s: %w", b.Name, err)
	}
	return b, errors.Join(err, w.h.describe(b))
}

// restore puts a backup in the place of the data. The data as it was is kept beside it.
func (w keeping) restore(ctx context.Context, t rollout.AccessoryTask) (string, error) {
	b, err := w.named(t.Backup)
	if err != nil {
		return "", err
	}
	// Named after the task: one that was interrupted after the swap is found done.
	aside := accessory.Aside(w.p, t.At.UTC().Format(backupName))
	done := fmt.Sprintf("backup %s is in place; what was there before is the database %s, until the next restore", b.Name, aside)
	if has, err := w.k.Has(ctx, w.p, aside); err != nil || has {
		return done, err
	}
	if err := w.restored(ctx, b, restoration); err != nil {
		return "", errors.Join(fmt.Errorf("backup %s: %w; the data is as it was", b.Name, err), w.k.Drop(context.WithoutCancel(ctx), w.p, restoration))
	}
	return done, w.k.Swap(ctx, w.p, restoration, aside)
}

func (w keeping) named(name string) (world.Backup, error) {
	b, ok := newest(w.h.backups(), name)
	switch {
	case !ok && name == "":
		return b, errors.New("there is no backup yet")
	case !ok:
		return b, fmt.Errorf("there is no backup %s", name)
	}
	return b, nil
}

// restored fills a database of that name from a backup, and checks what it holds.
func (w keeping) restored(ctx context.Context, b world.Backup, database string) error {
	if err := w.h.intact(b); err != nil {
		return err
	}
	if err := w.k.Create(ctx, w.p, database); err != nil {
		return fmt.Errorf("make a database for it: %w", err)
	}
	c, err := w.k.Restore(w.p, database, w.h.backupFile(b.Name))
	if err != nil {
		return err
	}
	if err := w.run(ctx, c, "the restore", w.h.backupFile(b.Name)); err != nil {
		return err
	}
	got, err := w.k.Count(ctx, w.p, database)
	if err != nil {
		return fmt.Errorf("count what was restored: %w", err)
	}
	if want := (accessory.Counted{Tables: b.Tables, Rows: b.Rows}); got != want {
		return fmt.Errorf("it restores to %d tables with %d rows, and was made of %d with %d", got.Tables, got.Rows, want.Tables, want.Rows)
	}
	return nil
}

// run runs a command to its end, confined as the accessory is. It can read the files
// that it is given besides. An error has its last lines.
func (w keeping) run(ctx context.Context, c accessory.Command, what string, read ...string) error {
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
	case !e.known || e.signal != "" || e.code != 0:
		return errors.New(strings.TrimSuffix(failureText(what+" "+e.String(), out.lastLines(10)), "; it wrote nothing"))
	}
	return nil
}
