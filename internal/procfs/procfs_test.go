package procfs_test

import (
	"os"
	"os/exec"
	"testing"

	"titrate/internal/procfs"
)

func TestStartTime_namesAProcess(t *testing.T) {
	t.Parallel()
	mine, err := procfs.StartTime(os.Getpid())
	if err != nil || mine == 0 {
		t.Fatalf("got %d, %v", mine, err)
	}
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	other, err := procfs.StartTime(pid)
	if err != nil || other < mine {
		t.Errorf("a process started later began at %d, before %d: %v", other, mine, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	if at, err := procfs.StartTime(pid); err == nil && at == other {
		t.Error("a process that was waited for still has its start time")
	}
}
