package keeper

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A child that is being started has all files of its parent until it executes its
// program: the folder of a keeper that ended in between is free all the same.
func TestLock_isFreeWhenReleasedThoughAChildHasTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := takeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	child, err := unix.FcntlInt(lock.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(child)
	if err := releaseLock(lock); err != nil {
		t.Fatal(err)
	}
	if Held(dir) {
		t.Error("it is held still")
	}
}
