package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"titrate/internal/accessory"
	"titrate/internal/rollout"
	"titrate/internal/world"

	"golang.org/x/sys/unix"
)

const (
	fillMost   = 10 * time.Minute       // until a second accessory without data is ready
	fillLook   = 100 * time.Millisecond // between two questions to it
	fillSteady = 10                     // answers after one another: an image that makes its data may serve for a moment
)

// second is the folder of a second accessory: in the files of a local service, which
// sees nothing else of the data folder.
func (c commands) second() string {
	if c.p.Spec.Image == "" {
		return filepath.Join(c.h.files(), twinFolder)
	}
	return filepath.Join(c.h.dir, twinFolder)
}

// filled starts a second accessory without data, restores a backup into it, and compares
// the two. Its folder stays.
func (c commands) filled(ctx context.Context, b world.Backup) error {
	if err := c.h.intact(b); err != nil {
		return err
	}
	if err := c.leftover(); err != nil {
		return err
	}
	if err := os.MkdirAll(c.second(), 0o700); err != nil {
		return fmt.Errorf("make the folder of a second %s: %w", c.h.key.Workload, err)
	}
	port, err := c.h.s.exchangePort(ctx, 0)
	if err != nil {
		return err
	}
	defer c.h.s.giveBack(port)
	p := c.p
	p.Port = port
	if p.Spec.Image == "" {
		p.Dir = c.second()
	}
	err = c.perform(ctx, job{what: "a second " + c.h.key.Workload, name: "second", start: func(token string, o *outputs) (*process, func() string, error) {
		return c.alone(ctx, p, token, o)
	}}, func(ctx context.Context) error {
		err := c.fill(ctx, p, b)
		if cause := context.Cause(ctx); errors.Is(cause, errEnded) {
			return cause
		}
		return err
	})
	c.h.sweep(p.Spec)
	return err
}

// alone starts a second accessory, which reaches none of its fellows.
func (c commands) alone(ctx context.Context, p accessory.Place, token string, o *outputs) (*process, func() string, error) {
	serves, err := c.kind.Serve(p)
	if err != nil {
		return nil, nil, err
	}
	if p.Spec.Image == "" {
		l := c.h.confined(serves, token)
		l.Writable = []string{p.Dir, filepath.Join(c.h.files(), "tmp")}
		return c.h.s.spawnAs(l, o, notRoot())
	}
	pl := c.h.imagePlace(p, c.h.key.Workload+"-second", token, c.second())
	l, err := c.h.s.launch(ctx, pl, pl.fleet.Command, c.h.imageVars(pl, serves.Env))
	if err != nil {
		return nil, nil, err
	}
	l.Image.Reach, l.Image.Named = nil, nil
	return c.h.s.spawn(l, o)
}

// fill restores a backup into the accessory at p, which is new, and reports how it
// differs from what the backup was made of.
func (c commands) fill(ctx context.Context, p accessory.Place, b world.Backup) error {
	if err := c.steady(ctx, p); err != nil {
		return err
	}
	f, err := os.Open(c.h.backupFile(b.Name))
	if err != nil {
		return fmt.Errorf("open the backup: %w", err)
	}
	defer f.Close()
	if err := c.tell(ctx, p, c.says.Restore, "backup.restore", f, nil); err != nil {
		return err
	}
	again := filepath.Join(c.h.files(), "again")
	defer os.Remove(again)
	_ = os.Remove(again) // of one that was interrupted
	if err := c.write(ctx, p, again); err != nil {
		return fmt.Errorf("after the restore: %w", err)
	}
	got, err := c.check(ctx, p)
	if err != nil {
		return fmt.Errorf("after the restore: %w", err)
	}
	if b.Checked != "" && got != b.Checked {
		return fmt.Errorf("after the restore backup.check says %.200q, and said %.200q when it was made", got, b.Checked)
	}
	return nil
}

// steady waits until a second accessory is well and stays so.
func (c commands) steady(ctx context.Context, p accessory.Place) error {
	over := time.NewTimer(fillMost)
	defer over.Stop()
	look := time.NewTicker(fillLook)
	defer look.Stop()
	for well := 0; well < fillSteady; {
		err := c.h.ask(ctx, p)
		if well++; err != nil {
			well = 0
		}
		select {
		case <-look.C:
		case <-over.C:
			return fmt.Errorf("a second %s without data is not ready after %s: %w", c.h.key.Workload, fillMost, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// swap is what a restore does when nothing serves, written down before: folders by their
// inodes, so that what was interrupted is gone on with.
type swap struct {
	Task    string   `json:"task"` // when it was asked for
	Folders []folder `json:"folders"`
}

// folder is a folder that takes the place of another, which takes its.
type folder struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Inode uint64 `json:"inode"` // of From, before
}

func (c commands) swapFile() string { return filepath.Join(c.h.dir, "restore.json") }

// restore has a second accessory write the backup down as data, and gives its folders
// and the data's each other's names while nothing serves.
func (c commands) restore(ctx context.Context, b world.Backup, task rollout.AccessoryTask) (string, error) {
	if err := c.tries(); err != nil {
		return "", err
	}
	stamp := task.At.UTC().Format(backupName)
	aside := filepath.Join(c.h.dir, beforeStart+stamp)
	done := fmt.Sprintf("backup %s is in place; what was there before stands in %s, until the next restore", b.Name, aside)
	if _, err := os.Stat(aside); err == nil {
		return done, os.RemoveAll(c.swapFile())
	}
	var s swap
	if known, err := load(c.swapFile(), &s); err != nil || !known || s.Task != stamp {
		if s, err = c.prepared(ctx, b, stamp); err != nil {
			c.h.s.forgetDir(c.second())
			return "", fmt.Errorf("backup %s: %w; the data is as it was", b.Name, err)
		}
	}
	err := c.h.between(ctx, func() error {
		if err := s.do(); err != nil {
			return errors.Join(fmt.Errorf("backup %s: %w", b.Name, err), c.leftover())
		}
		if err := os.Rename(c.second(), aside); err != nil {
			return fmt.Errorf("set the data aside: %w", err)
		}
		all, _ := filepath.Glob(filepath.Join(c.h.dir, beforeStart+"*")) // the pattern is right
		for _, old := range all {
			if old != aside {
				c.h.s.forgetDir(old)
			}
		}
		return os.Remove(c.swapFile())
	})
	if err != nil {
		return "", err
	}
	return done, nil
}

// prepared returns the swap by which a backup becomes the data.
func (c commands) prepared(ctx context.Context, b world.Backup, stamp string) (swap, error) {
	if err := c.filled(ctx, b); err != nil {
		return swap{}, err
	}
	s := swap{Task: stamp, Folders: []folder{{From: filepath.Join(c.second(), "data"), To: c.p.Data()}}}
	if c.p.Spec.Image != "" {
		c.h.s.forgetDir(filepath.Join(c.second(), "run"))
		s.Folders = []folder{{From: filepath.Join(c.second(), "state"), To: filepath.Join(c.h.dir, "state")}}
		if len(c.p.Spec.Volumes) > 0 {
			s.Folders = append(s.Folders, folder{From: filepath.Join(c.second(), "volumes"), To: filepath.Join(c.h.dir, "volumes")})
		}
	}
	for i := range s.Folders {
		n, err := inode(s.Folders[i].From)
		if err != nil {
			return s, fmt.Errorf("look at what was restored: %w", err)
		}
		s.Folders[i].Inode = n
	}
	if err := syncFolder(c.second()); err != nil {
		return s, err
	}
	return s, store(c.swapFile(), s)
}

// leftover clears away what a restore or rehearsal left that did not come to its end. What
// was the data before is not among that: it is set aside.
func (c commands) leftover() error {
	var s swap
	if _, err := load(c.swapFile(), &s); err != nil {
		return err
	}
	for _, f := range s.Folders {
		if n, err := inode(f.To); err == nil && n == f.Inode {
			if err := os.Rename(c.second(), filepath.Join(c.h.dir, beforeStart+s.Task)); err != nil {
				return fmt.Errorf("set aside what was the data: %w", err)
			}
			break
		}
	}
	c.h.s.forgetDir(c.second())
	return os.RemoveAll(c.swapFile())
}

// do gives the folders each other's names: all, or after an error none.
func (s swap) do() (err error) {
	var swapped []folder
	defer func() {
		for _, f := range swapped {
			if err != nil {
				err = errors.Join(err, f.swap())
			}
		}
	}()
	for _, f := range s.Folders {
		n, err := inode(f.To)
		if err != nil {
			return fmt.Errorf("look at the data: %w", err)
		}
		if n == f.Inode { // before it was interrupted
			continue
		}
		if err := f.swap(); err != nil {
			return err
		}
		swapped = append(swapped, f)
	}
	return nil
}

func (f folder) swap() error {
	if err := unix.Renameat2(unix.AT_FDCWD, f.From, unix.AT_FDCWD, f.To, unix.RENAME_EXCHANGE); err != nil {
		return fmt.Errorf("give %s the place of %s: %w", f.From, f.To, err)
	}
	return nil
}

func inode(path string) (uint64, error) {
	st, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, &fs.PathError{Op: "stat", Path: path, Err: errors.ErrUnsupported}
	}
	return sys.Ino, nil
}
