package keeper

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Nothing is let go of in between: the same process, the lock held, the sockets open,
// and a workload whose node has left is still its child.
func TestKeeper_becomesTheNextOneInItsOwnProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k := start(t, dir)
	before, orphan := k.get(t, "/"), k.get(t, "/spawn")
	free := make(chan bool, 1)
	watching, stop := context.WithCancel(t.Context())
	go func() {
		was := false
		for watching.Err() == nil {
			was = was || !Held(dir)
		}
		free <- was
	}()
	if err := k.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return k.get(t, "/") != before })
	stop()
	if <-free {
		t.Error("the folder was free for anybody")
	}
	out, err := exec.Command(os.Args[0], "__keep", dir).Output()
	if err == nil || !strings.Contains(string(out), strconv.Itoa(k.cmd.Process.Pid)) {
		t.Errorf("a second keeper: %s, %v", out, err)
	}
	eventually(t, func() bool { // it ends with the process that started it
		files, _ := filepath.Glob(filepath.Join(dir, "node", "exits", strconv.Itoa(orphan)+"-*.json"))
		return len(files) == 1
	})
}

func TestKeeper_goesOnWhenItCannotBecomeTheNextOne(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Children = nil
	k, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	k.cfg.Program = filepath.Join(cfg.Dir, "gone")
	if err := k.Become([]string{"gone"}, nil); err == nil || !strings.Contains(err.Error(), k.cfg.Program) {
		t.Errorf("got %v", err)
	}
	if !Held(cfg.Dir) {
		t.Error("the lock is let go of")
	}
	if another, err := New(cfg); err == nil {
		t.Error("a second keeper:", another)
	}
}

func TestKeeper_asksAProgramAndSaysHowItEnded(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Children, cfg.Program = nil, "/bin/sh"
	k, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	// This process has children of other tests: only those asked here are waited for.
	reap := func() {
		for {
			k.reap.mu.Lock()
			for pid, ended := range k.reap.started {
				var status syscall.WaitStatus
				if got, _ := syscall.Wait4(pid, &status, syscall.WNOHANG, nil); got == pid {
					delete(k.reap.started, pid)
					ended <- status
				}
			}
			k.reap.mu.Unlock()
			select {
			case <-t.Context().Done():
				return
			case <-time.After(time.Millisecond):
			}
		}
	}
	go reap()
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for _, c := range []struct {
		ctx          context.Context //nolint:containedctx // a case's own
		script, want string
	}{
		{t.Context(), "exit 0", ""},
		{t.Context(), "exit 3", "exit 3"},
		{soon, "sleep 60", "deadline exceeded"},
	} {
		err := k.Ask(c.ctx, "-c", c.script)
		if got := errorText(err); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %v, want %q", c.script, err, c.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
