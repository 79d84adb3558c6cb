package store

import (
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A child that is being started has all files of its parent until it executes its
// program: the lock of a store that was closed in between is free all the same.
func TestLock_isFreeWhenReleasedThoughAChildHasTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	l, err := takeLock(t.Context(), path, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	child, err := unix.FcntlInt(l.file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(child)
	if err := l.release(); err != nil {
		t.Fatal(err)
	}
	again, err := takeLock(t.Context(), path, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.release(); err != nil {
		t.Error(err)
	}
}
