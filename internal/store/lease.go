package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lock is a lock file that the kernel lets go of when its holder dies, however
// it dies: the next one takes over at once.
type lock struct{ file *os.File }

func takeLock(ctx context.Context, path string, wait time.Duration) (*lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	// The kernel has no flock with a deadline, so it is asked again and again.
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(locked(f, path), f.Close())
		case <-again.C:
		}
	}
	// The number in the file is for people only: the lock is the kernel's.
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return &lock{file: f}, nil
}

func locked(f *os.File, path string) *FaultError {
	text := make([]byte, 32)
	n, _ := f.ReadAt(text, 0)
	who := "another process"
	hint := "titrate down"
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n]))); err == nil {
		who = fmt.Sprintf("process %d", pid)
		hint += fmt.Sprintf(", or look at what it is: ps -fp %d", pid)
	}
	return &FaultError{Code: CodeLocked, Path: path, What: who + " already runs on this data folder", Hint: hint}
}

func (l *lock) release() error {
	if l == nil {
		return nil
	}
	// Said, and not left to the close: a child that is being started just now has
	// the file open too until it executes its program (flock(2)).
	err := unix.Flock(int(l.file.Fd()), unix.LOCK_UN)
	return errors.Join(err, l.file.Close())
}

// Lease makes the caller the one writer. Its token is greater than any before:
// what an earlier holder still tries to store is refused with
// rollout.ErrFenced (R18).
func (s *Store) Lease(ctx context.Context) (uint64, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	token, err := s.nextToken(ctx)
	if noRoom(err) && s.reserve.free() {
		token, err = s.nextToken(ctx)
	}
	return token, err
}

func (s *Store) nextToken(ctx context.Context) (token uint64, err error) {
	err = s.write.QueryRowContext(ctx, `UPDATE sequences SET value = value + 1 WHERE name = 'token' RETURNING value`).Scan(&token)
	return token, s.wrap("take the lease", err)
}
