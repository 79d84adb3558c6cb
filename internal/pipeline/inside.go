package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/procfs"
)

// Sandbox is the body of "titrate __sandbox ARGS": it runs inside the new
// namespaces, before the build's own programs. It returns the exit code.
func Sandbox(args []string) int {
	text, err := io.ReadAll(os.NewFile(3, "spec"))
	var sp spec
	if err == nil {
		err = json.Unmarshal(text, &sp)
	}
	if len(args) > 0 && args[0] == "exec" {
		// With ours whatever the server's own caller left open: it leads out of here.
		if unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) != nil { // a kernel before 5.11
			unix.CloseOnExec(3)
			unix.CloseOnExec(4)
		}
		if err == nil {
			err = become(sp)
		}
		fmt.Fprint(os.NewFile(4, "trouble"), err)
		return 127
	}
	var out outcome
	if err == nil {
		out, err = supervise(sp, text)
	}
	if err != nil {
		out.Setup = err.Error()
	}
	if err := json.NewEncoder(os.NewFile(4, "outcome")).Encode(out); err != nil {
		return 1
	}
	return 0
}

// supervise makes the walls, starts the step, and sees to it that everything the
// step has started ends with it.
func supervise(sp spec, text []byte) (outcome, error) {
	runtime.LockOSThread() // the step dies with the thread that started it
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	switch sp.Level {
	case levelFull:
		if err := makeRoot(sp); err != nil {
			return outcome{}, err
		}
	case levelPlain:
	case levelHalf: // processes have other numbers here
		if err := errors.Join(keepMounts(), mountProc("/proc")); err != nil {
			return outcome{}, err
		}
	}
	if sp.Level != levelPlain && !sp.Network {
		if err := loopbackUp(); err != nil {
			return outcome{}, fmt.Errorf("bring up loopback: %w", err)
		}
	}
	// Orphans of the step come to us also where we are not its first process.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return outcome{}, fmt.Errorf("become subreaper: %w", err)
	}
	specR, specW, err := os.Pipe()
	if err != nil {
		return outcome{}, err
	}
	troubleR, troubleW, err := os.Pipe()
	if err != nil {
		return outcome{}, err
	}
	self := os.Args[:len(os.Args):len(os.Args)]
	child, err := os.StartProcess("/proc/self/exe", append(self, "exec"), &os.ProcAttr{
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr, specR, troubleW},
		Sys:   &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return outcome{}, fmt.Errorf("start the step: %w", err)
	}
	specR.Close()
	troubleW.Close()
	if _, err := specW.Write(text); err != nil {
		return outcome{}, fmt.Errorf("start the step: %w", err)
	}
	specW.Close()
	// The end of this pipe is the step's first moment, or why there was none.
	if trouble, err := io.ReadAll(troubleR); err != nil || len(trouble) > 0 {
		return outcome{}, fmt.Errorf("start the step: %s", trouble)
	}
	ended := make(chan syscall.WaitStatus)
	go reap(child.Pid, ended)
	var out outcome
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case status := <-ended:
			out.Exit = status.ExitStatus()
			if status.Signaled() {
				out.Exit = 128 + int(status.Signal())
			}
		case <-stop:
			out.Stopped = "stopped"
		case <-tick.C:
			if sp.Processes == 0 || len(descendants()) <= sp.Processes {
				continue
			}
			out.Stopped = fmt.Sprintf("more than %d processes at once", sp.Processes)
		}
		if sp.Level != levelPlain {
			return out, nil // we are the first process of a namespace, which ends with us
		}
		for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); {
			left := descendants()
			for _, pid := range left {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended meanwhile
			}
			if len(left) == 0 {
				break
			}
		}
		return out, nil
	}
}

// reap waits for every child, ours and those that were left to us, and tells
// how the step ended.
func reap(step int, ended chan<- syscall.WaitStatus) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return
		case pid == step:
			ended <- status
		}
	}
}

// descendants returns the processes below this one that have not ended.
func descendants() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	parents := map[int]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := procfs.Stat(pid)
		if err != nil || stat[0] == "Z" {
			continue
		}
		if parents[pid], err = strconv.Atoi(stat[1]); err != nil {
			return nil
		}
	}
	var out []int
	for pid := range parents {
		for up, hops := parents[pid], 0; up > 0 && hops < len(parents); up, hops = parents[up], hops+1 {
			if up == os.Getpid() {
				out = append(out, pid)
				break
			}
		}
	}
	return out
}
