package test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A person who presses Ctrl-C again and again wants to be gone, not to leave servers behind.
func TestDemo_moreSignalsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("set TITRATE_TEST_SLOW=1 to run it")
	}
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	demo := exec.CommandContext(t.Context(), filepath.Join(bin, "titrate"), "demo")
	demo.Env = append(os.Environ(), "TMPDIR="+dir)
	out, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), "✔ gateway") {
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines.Scan() {
		}
		_ = demo.Wait() // its exit code is that of an interrupted call
	}()
	for tick, over := time.NewTicker(20*time.Millisecond), false; !over; {
		_ = demo.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-ended:
			tick.Stop()
			over = true
		case <-tick.C:
		}
	}
	for _, p := range processesOf(dir) {
		if alive(p.Pid) {
			t.Errorf("process %d is left", p.Pid)
			_ = p.Kill()
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "titrate-demo-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
