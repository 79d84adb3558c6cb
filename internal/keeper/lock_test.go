package keeper_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"titrate/internal/keeper"
)

// The number in the lock is not believed: a signal must reach the keeper or nobody.
func TestHolder_isTheProcessThatHasTheLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if p, err := keeper.Holder(dir); p != nil || err != nil {
		t.Fatalf("nobody holds it: got %v, %v", p, err)
	}
	lock, err := os.Create(filepath.Join(dir, "up.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	stranger := exec.CommandContext(t.Context(), "sleep", "60")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Process.Kill(); _ = stranger.Wait() }()
	for _, text := range []string{"", "{", "0\n", "1\n", "-1\n", fmt.Sprintln(stranger.Process.Pid)} {
		write(t, lock, text)
		if p, err := keeper.Holder(dir); p != nil || !errors.Is(err, keeper.ErrHolder) {
			t.Errorf("%q: got %v, %v", text, p, err)
		}
	}
	write(t, lock, fmt.Sprintln(os.Getpid()))
	if p, err := keeper.Holder(dir); err != nil || p == nil || p.Pid != os.Getpid() {
		t.Errorf("got %v, %v", p, err)
	}
}

func write(t *testing.T, f *os.File, text string) {
	t.Helper()
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(text), 0); err != nil {
		t.Fatal(err)
	}
}
