package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"titrate/internal/accessory"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

const (
	careLook   = 500 * time.Millisecond // between two looks for something to do
	careAgain  = 10 * time.Minute       // after a backup that was due and failed
	careLength = 6 * time.Hour          // of one task at most
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
		w := keeping{h: h, p: p}
		ok := w.copied()
		asked := task != nil && (task.ID > done.ID || task.ID == done.ID && !done.State.Over())
		if asked && task.Kind == rollout.TaskRestart { // it need not be well for that
			h.do(ctx, w, *task)
			continue
		}
		if !ok || !ready {
			continue
		}
		now := h.s.cfg.Now()
		switch {
		case asked:
			h.do(ctx, w, *task)
		case p.Spec.Scheduled() && !now.Before(h.due(p.Spec)) && now.Sub(failed) >= careAgain:
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
	rehearsed := false
	if err == nil && w.c.tries() == nil {
		rehearsed = true
		_, err = w.rehearse(ctx, b.Name)
	}
	unkept := ""
	switch {
	case err == nil:
		h.s.cfg.Log.Info("a backup was made", append(h.attrs(), slog.String("backup", b.Name), slog.Int64("bytes", b.Size), slog.Bool("rehearsed", rehearsed))...)
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
	c copier
}

// copier copies data of one kind, and puts it back.
type copier interface {
	// dump writes the data as it is at one moment to the file into, and says in b what
	// it holds.
	dump(ctx context.Context, b *world.Backup, into string) error
	// tries returns why a backup cannot be restored beside the data; nil: it can.
	tries() error
	// try restores a backup beside the data, compares, and throws it away.
	try(ctx context.Context, b world.Backup) error
	// restore puts a backup in the place of the data, which is kept aside, and says
	// where. Done again after it was interrupted it goes on, or finds itself done.
	restore(ctx context.Context, b world.Backup, t rollout.AccessoryTask) (string, error)
}

// copied finds how the accessory's data is copied. It returns false when it is not.
func (w *keeping) copied() bool {
	kind, err := accessory.Of(w.p.Spec)
	if err != nil {
		return false
	}
	switch k := kind.(type) {
	default:
		if w.p.Spec.Commands != nil {
			w.c = commands{*w, kind, *w.p.Spec.Commands}
		}
	case accessory.Keeper:
		w.c = databases{*w, k}
	case accessory.Twin:
		w.c = twins{*w, k}
	}
	return w.c != nil
}

// task does a task and says what came of it.
func (w keeping) task(ctx context.Context, t rollout.AccessoryTask) (string, error) {
	switch t.Kind {
	case rollout.TaskBackup:
		b, err := w.backup(ctx)
		return fmt.Sprintf("backup %s: %s", b.Name, b.Holds()), err
	case rollout.TaskRehearse:
		b, err := w.rehearse(ctx, t.Backup)
		if b.Of == world.OfDump {
			return fmt.Sprintf("backup %s restores into a new %s, which is dumped again%s", b.Name, w.h.key.Workload, compared(b)), err
		}
		return fmt.Sprintf("backup %s restores to %s, as it was made", b.Name, b.Holds()), err
	case rollout.TaskRestore:
		b, err := w.named(t.Backup)
		if err != nil {
			return "", err
		}
		return w.c.restore(ctx, b, t)
	case rollout.TaskRestart:
		return w.h.restart(ctx)
	}
	return "", fmt.Errorf("this titrate does not know the task %q", t.Kind)
}

// backup writes the data down.
func (w keeping) backup(ctx context.Context) (world.Backup, error) {
	began := w.h.s.cfg.Now()
	b := world.Backup{Name: began.UTC().Format(backupName), At: began}
	into := filepath.Join(w.p.Dir, "dump")
	if err := os.RemoveAll(into); err != nil { // of a backup that was interrupted
		return b, fmt.Errorf("make room for a backup: %w", err)
	}
	if err := w.c.dump(ctx, &b, into); err != nil {
		_ = os.Remove(into) // removed before the next one otherwise
		return b, err
	}
	b.Took = w.h.s.cfg.Now().Sub(began)
	b, err := w.h.keepBackup(into, b)
	if err == nil && w.p.Spec.Keep > 0 {
		w.h.pruneBackups(w.p.Spec.Keep)
	}
	return b, err
}

// rehearse tries a backup, and writes down what came of it.
func (w keeping) rehearse(ctx context.Context, name string) (world.Backup, error) {
	b, err := w.named(name)
	if err != nil {
		return b, err
	}
	if err := w.c.tries(); err != nil {
		return b, err
	}
	err = w.c.try(ctx, b)
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

// agrees reports in what a restored copy differs from what the backup was made of.
func agrees(b world.Backup, got accessory.Counted) error {
	if !got.Agrees(accessory.Counted{Tables: b.Tables, Rows: b.Rows, Passing: b.Passing}) {
		return fmt.Errorf("it restores to %s, and was made of %s", world.Holding(b.Of, got.Tables, got.Rows), b.Holds())
	}
	return nil
}
