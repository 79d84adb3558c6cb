package store

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"titrate/internal/rollout"
)

// smallDisk names a folder to mount a small disk on, in a process of its own.
const smallDisk = "TITRATE_TEST_SMALL_DISK"

func TestR19_aFullDiskStillStoresARollback(t *testing.T) {
	t.Parallel()
	if folder := os.Getenv(smallDisk); folder != "" {
		fillDisk(t, folder)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), smallDisk+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOSPC):
		t.Skip("this machine forbids user namespaces, in which a small disk could be mounted")
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	case bytes.Contains(out, []byte("SKIP")):
		t.Skip("no small disk can be mounted here")
	}
}

// fillDisk runs with a disk of its own.
func fillDisk(t *testing.T, folder string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=48m"); err != nil {
		t.Skip(err)
	}
	s := openStore(t, Options{Folder: filepath.Join(folder, "data"), Reserve: 8 << 20})
	token := lease(t, s)
	commit(t, s, opening(token, 1, 1))
	filler := filepath.Join(folder, "filler")
	fill(t, filler)

	// What is stored every few seconds is not worth the reserve.
	for i := range 2000 {
		if err := s.Commit(t.Context(), rollout.Change{Token: token, Watched: time.Unix(int64(1e9+5*i), 0)}); err != nil && !noRoom(err) {
			t.Fatal(err)
		}
	}
	if s.reserve.low() {
		t.Fatal("the reserve was given up for heartbeats")
	}

	// The room that is left in the files themselves is used up first; then the
	// reserve is given up, and every decision is stored.
	for range 200 {
		r, err := s.Rollout(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		back := moving(token, r, rollout.Returning)
		back.Looks[0].After.Back = &rollout.Back{Outcome: rollout.RolledBack, Why: "5xx was 7.9 %"}
		if err := s.Commit(t.Context(), back); err != nil {
			t.Fatalf("a rollback was not stored: %v", err)
		}
	}
	if !s.reserve.low() {
		t.Fatal("the disk was not full enough for the test")
	}
	fill(t, filler+"-more")
	var f *FaultError
	if err := s.Commit(t.Context(), opening(token, 2, 2)); !errors.As(err, &f) || f.Code != CodeFull {
		t.Errorf("something new was taken on a full disk: %v", err)
	}
	for _, name := range []string{filler, filler + "-more"} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	commit(t, s, opening(token, 2, 2))
	if s.reserve.low() {
		t.Error("the reserve was not made again")
	}
}

// fill writes until the disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 16; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}
