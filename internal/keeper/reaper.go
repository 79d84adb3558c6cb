package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"titrate/internal/durable"
	"titrate/internal/procfs"
)

// exitsKept is how long the record of an exit stays: a node that is back reads
// it within seconds.
const exitsKept = 24 * time.Hour

// reaper waits for every child of this process: those that the keeper started,
// and workloads whose node died. os/exec cannot be used beside it, because two
// waits for one process would race.
type reaper struct {
	exits  string
	log    *slog.Logger
	forgot time.Time // when it last did

	mu      sync.Mutex // held while a process is started, so that its end is not seen before its name
	started map[int]chan syscall.WaitStatus
}

func newReaper(exits string, log *slog.Logger) *reaper {
	return &reaper{exits: exits, log: log, started: map[int]chan syscall.WaitStatus{}}
}

func (r *reaper) spawn(path string, argv []string, attr *syscall.ProcAttr) (int, <-chan syscall.WaitStatus, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil {
		return 0, nil, fmt.Errorf("start %s: %w", path, err)
	}
	ended := make(chan syscall.WaitStatus, 1)
	r.started[pid] = ended
	return pid, ended, nil
}

// run reaps for as long as the process lives.
func (r *reaper) run() {
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, syscall.SIGCHLD)
	for ; ; <-sig {
		for r.reapOne() {
		}
		if time.Since(r.forgot) > time.Minute {
			r.forgot = time.Now()
			r.forget()
		}
	}
}

// siginfo is the head of siginfo_t for SIGCHLD on 64-bit Linux, sigaction(2).
type siginfo struct {
	_      [2]int32
	code   int32
	_      int32
	pid    int32
	_      uint32
	status int32
	_      [100]byte
}

// reapOne reports whether a process had ended. It looks, records and only then
// reaps: a keeper killed in between leaves a process that is found again, not one
// whose end nobody saw. The start time that names it is gone with the process.
func (r *reaper) reapOne() bool {
	var info siginfo
	err := unix.Waitid(unix.P_ALL, 0, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	if err != nil || info.pid == 0 {
		return errors.Is(err, unix.EINTR)
	}
	pid := int(info.pid)
	r.mu.Lock()
	ended, ours := r.started[pid]
	delete(r.started, pid)
	r.mu.Unlock()
	if !ours {
		r.record(pid, info)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
		r.log.Error("reap", slog.Int("pid", pid), slog.Any("error", err))
	}
	if ours {
		ended <- syscall.WaitStatus(status)
	}
	return true
}

// record keeps how a workload or hook ended: each leads a session of its own. What
// one of them has left behind nobody asks about.
func (r *reaper) record(pid int, info siginfo) {
	stat, err := procfs.Stat(pid)
	if err != nil {
		r.log.Error("name an exit", slog.Int("pid", pid), slog.Any("error", err))
		return
	}
	const sessionField, startField, first = 6, 22, 3 // of /proc/PID/stat, proc(5)
	if stat[sessionField-first] != strconv.Itoa(pid) {
		return
	}
	start, err := strconv.ParseUint(stat[startField-first], 10, 64)
	if err != nil {
		r.log.Error("name an exit", slog.Int("pid", pid), slog.Any("error", err))
		return
	}
	const exited = 1 // CLD_EXITED; the other codes are of signals
	e := Exit{PID: pid, Start: start, Code: int(info.status), At: time.Now()}
	if info.code != exited {
		e.Code, e.Signal = -1, syscall.Signal(info.status).String()
	}
	b, err := json.Marshal(e)
	if err == nil {
		err = durable.WriteFile(filepath.Join(r.exits, fmt.Sprintf("%d-%d.json", pid, start)), b)
	}
	if err != nil {
		r.log.Error("record an exit", slog.Int("pid", pid), slog.Any("error", err))
	}
}

// forget removes old records.
func (r *reaper) forget() {
	entries, _ := os.ReadDir(r.exits)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > exitsKept {
			os.Remove(filepath.Join(r.exits, e.Name()))
		}
	}
}

// Exit is how a process ended that the keeper inherited, in the file
// node/exits/PID-START.json.
type Exit struct {
	PID    int       `json:"pid"`
	Start  uint64    `json:"start"` // field 22 of /proc/PID/stat: clock ticks after boot
	Code   int       `json:"code"`  // -1 when a signal ended it
	Signal string    `json:"signal,omitempty"`
	At     time.Time `json:"at"`
}
