package keeper

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockPath is the file that a keeper holds locked for as long as it lives. Its
// number stands in it.
func lockPath(dir string) string { return filepath.Join(dir, "up.lock") }

// HeldError says that another keeper has the data folder.
type HeldError struct{ Dir, PID string }

// Error names the folder, the process and what to type.
func (e *HeldError) Error() string {
	return fmt.Sprintf("error[T0701]: titrate is already up on this data folder\n  where   %s (process %s)\n  help    titrate down; or titrate up --replace to take over from it, or --data ANOTHER_FOLDER", e.Dir, e.PID)
}

func takeLock(dir string) (*os.File, error) {
	f, err := os.OpenFile(lockPath(dir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the data folder's lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(lockPath(dir))
		f.Close()
		return nil, &HeldError{dir, strings.TrimSpace(string(holder))}
	}
	if err := f.Truncate(0); err != nil {
		return nil, fmt.Errorf("write the data folder's lock: %w", err)
	}
	if _, err := fmt.Fprintln(f, os.Getpid()); err != nil {
		return nil, fmt.Errorf("write the data folder's lock: %w", err)
	}
	return f, nil
}

// releaseLock lets go of the lock. It says so and does not leave it to the close: a
// child that is being started just now has the file open too until it executes its
// program (flock(2)).
func releaseLock(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}

// Held reports whether a keeper holds the data folder dir.
func Held(dir string) bool {
	f, err := os.Open(lockPath(dir))
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil
}

// ErrHolder is wrapped when the lock is held, and not by the process whose number
// stands in it.
var ErrHolder = errors.New("its lock is held by another process than the one it names")

// Holder finds the keeper that holds the data folder dir; nil when none does. A
// number alone names nobody: it may be damaged, or used again. The process must
// have the lock open, which only its keeper does, and is held on to before that is
// looked at: a signal to what is returned reaches the keeper or nobody.
func Holder(dir string) (*os.Process, error) {
	if !Held(dir) {
		return nil, nil
	}
	text, err := os.ReadFile(lockPath(dir))
	if err != nil {
		return nil, fmt.Errorf("read the data folder's lock: %w", err)
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && pid > 0 {
		if p, err := os.FindProcess(pid); err == nil && hasOpen(pid, lockPath(dir)) {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%w\n  where   %s", ErrHolder, lockPath(dir))
}

// hasOpen reports whether a process has a file open.
func hasOpen(pid int, path string) bool {
	want, err := os.Stat(path)
	if err != nil {
		return false
	}
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range fds {
		if got, err := os.Stat(fd); err == nil && os.SameFile(want, got) {
			return true
		}
	}
	return false
}
