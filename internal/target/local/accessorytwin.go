package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"titrate/internal/accessory"
	"titrate/internal/rollout"
	"titrate/internal/world"

	"golang.org/x/sys/unix"
)

// twins copies the data of a server as a file, and tries a copy by a second server that
// is started on it, in a folder beside the data.
type twins struct {
	keeping
	k accessory.Twin
}

const (
	twinFolder  = "second"  // of the second server
	beforeStart = "before_" // begins the folders that a restore took the place of
	marker      = "restored"
)

func (t twins) dump(ctx context.Context, b *world.Backup, into string) error {
	c, err := t.k.DumpTo(t.p, into)
	if err == nil {
		err = t.run(ctx, c, "the dump")
	}
	if err != nil {
		return err
	}
	// Counted by who reads it: one that cannot be read is no backup.
	return t.second(ctx, into, func(ctx context.Context, p accessory.Place) error {
		got, err := t.k.Held(ctx, p)
		b.Of, b.Tables, b.Rows, b.Passing = world.OfKeys, got.Tables, got.Rows, got.Passing
		return err
	})
}

func (twins) tries() error { return nil }

func (t twins) try(ctx context.Context, b world.Backup) error {
	if err := t.h.intact(b); err != nil {
		return err
	}
	return t.second(ctx, t.h.backupFile(b.Name), func(ctx context.Context, p accessory.Place) error {
		got, err := t.k.Held(ctx, p)
		if err != nil {
			return fmt.Errorf("count what was restored: %w", err)
		}
		return agrees(b, got)
	})
}

// restore has a second server write the backup down as data, and gives its folder and
// the data's each other's names in one step while nothing serves. A file in it says
// which restore it is of.
func (t twins) restore(ctx context.Context, b world.Backup, task rollout.AccessoryTask) (string, error) {
	stamp := strings.ToLower(task.At.UTC().Format(backupName))
	aside := filepath.Join(t.h.dir, beforeStart+stamp)
	done := fmt.Sprintf("backup %s is in place; what was there before stands in %s, until the next restore", b.Name, aside)
	if text, err := os.ReadFile(filepath.Join(t.p.Data(), marker)); err == nil && string(text) == stamp {
		return done, t.setAside(t.twin(0), aside)
	}
	if err := t.h.intact(b); err != nil {
		return "", fmt.Errorf("backup %s: %w; the data is as it was", b.Name, err)
	}
	var twin accessory.Place
	err := t.kept(ctx, t.h.backupFile(b.Name), func(ctx context.Context, p accessory.Place) error {
		twin = p
		got, err := t.k.Held(ctx, p)
		if err == nil {
			err = agrees(b, got)
		}
		if err == nil {
			err = t.k.Settle(ctx, p)
		}
		return err
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(twin.Data(), marker), []byte(stamp), 0o600)
	}
	if err == nil {
		err = syncFolder(twin.Data())
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("backup %s: %w; the data is as it was", b.Name, err), os.RemoveAll(t.twin(0).Dir))
	}
	err = t.h.between(ctx, func() error {
		if err := unix.Renameat2(unix.AT_FDCWD, twin.Data(), unix.AT_FDCWD, t.p.Data(), unix.RENAME_EXCHANGE); err != nil {
			return errors.Join(fmt.Errorf("backup %s: give it the place of the data: %w; the data is as it was", b.Name, err), os.RemoveAll(twin.Dir))
		}
		return t.setAside(twin, aside)
	})
	if err != nil {
		return "", err
	}
	return done, nil
}

// setAside moves what was the data to where people find it, and removes what an earlier
// restore set aside. It is safe to call again.
func (t twins) setAside(twin accessory.Place, aside string) error {
	if err := os.Rename(twin.Data(), aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("set the data aside: %w", err)
	}
	all, _ := filepath.Glob(filepath.Join(t.h.dir, beforeStart+"*")) // the pattern is right
	for _, old := range all {
		if old == aside {
			continue
		}
		if err := os.RemoveAll(old); err != nil {
			return fmt.Errorf("remove what an earlier restore set aside: %w", err)
		}
	}
	return os.RemoveAll(twin.Dir)
}

// second does something with a second server on a copy, which is thrown away then.
func (t twins) second(ctx context.Context, copied string, do func(context.Context, accessory.Place) error) error {
	err := t.kept(ctx, copied, do)
	if rerr := os.RemoveAll(t.twin(0).Dir); err == nil && rerr != nil {
		err = fmt.Errorf("throw the copy away: %w", rerr)
	}
	return err
}

// twin is the place of a second server.
func (t twins) twin(port int) accessory.Place {
	p := t.p
	p.Dir, p.Port = filepath.Join(t.p.Dir, twinFolder), port
	return p
}

// kept is second, of a copy that stays.
func (t twins) kept(ctx context.Context, copied string, do func(context.Context, accessory.Place) error) error {
	if err := os.RemoveAll(t.twin(0).Dir); err != nil { // of one that was interrupted
		return fmt.Errorf("clear away an earlier copy: %w", err)
	}
	port, err := t.h.s.exchangePort(ctx, 0)
	if err != nil {
		return err
	}
	defer t.h.s.giveBack(port)
	p := t.twin(port)
	c, err := t.k.Second(p)
	if err != nil {
		return err
	}
	if err := copyFile(copied, t.k.Copy(p)); err != nil {
		return fmt.Errorf("copy the backup: %w", err)
	}
	return t.with(ctx, c, "a server on the copy", func(ctx context.Context) error { return do(ctx, p) })
}

// giveBack lets others have a port.
func (s *Supervisor) giveBack(port int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.taken, port)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// syncFolder has all files of a folder stand on the disk.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("write %s to the disk: %w", dir, err)
	}
	return nil
}
