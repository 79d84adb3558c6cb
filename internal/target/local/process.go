package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"titrate/internal/procfs"

	"golang.org/x/sys/unix"
)

// process is a running process, its child or not, held by a pidfd: a signal can
// never reach another one that was given the same number later.
type process struct {
	pid   int
	start uint64 // field 22 of /proc/PID/stat
	fd    *os.File
	exits string

	done chan struct{} // closed when it has ended
	exit exitStatus    // valid then
}

// exitStatus is how a process ended.
type exitStatus struct {
	known  bool
	code   int
	signal string // empty: it exited with code
}

func (e exitStatus) String() string {
	switch {
	case !e.known:
		return "ended; exit status unknown"
	case e.signal != "":
		return "was ended by a signal: " + e.signal
	default:
		return fmt.Sprintf("exited with status %d", e.code)
	}
}

// openProcess holds process pid if it is the one that started at start (0: any).
// The caller runs watch and calls letGo in the end.
func openProcess(pid int, start uint64, exits string) (*process, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("hold process %d: %w", pid, err)
	}
	f := os.NewFile(uintptr(fd), fmt.Sprintf("pidfd of %d", pid))
	// Read after it is held: the number cannot change hands in between unseen.
	now, err := procfs.StartTime(pid)
	if err == nil && start != 0 && now != start {
		err = errors.New("the number belongs to another process now")
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("hold process %d: %w", pid, err)
	}
	return &process{pid: pid, start: now, fd: f, exits: exits, done: make(chan struct{})}, nil
}

// watch closes done when the process has ended. It returns then, or when the
// process is let go.
func (p *process) watch() {
	conn, err := p.fd.SyscallConn()
	if err != nil {
		return
	}
	err = conn.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return err == nil && n > 0
	})
	if err != nil {
		return // let go
	}
	p.exit = p.reap()
	close(p.done)
}

// letGo ends watch and leaves the process alone.
func (p *process) letGo() { p.fd.Close() }

func (p *process) signal(sig unix.Signal) {
	conn, err := p.fd.SyscallConn()
	if err != nil {
		return
	}
	// ESRCH: it has ended, which is what signals are for.
	_ = conn.Control(func(fd uintptr) { _ = unix.PidfdSendSignal(int(fd), sig, nil, 0) })
}

// reap learns how the process ended: from the kernel if it is a child, else from
// the keeper, which inherited it when the supervisor that started it ended.
func (p *process) reap() exitStatus {
	var ws unix.WaitStatus
	for {
		pid, err := unix.Wait4(p.pid, &ws, unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err == nil && pid == p.pid && ws.Signaled():
			return exitStatus{known: true, signal: ws.Signal().String()}
		case err == nil && pid == p.pid:
			return exitStatus{known: true, code: ws.ExitStatus()}
		default:
			return awaitExit(p.exits, p.pid, p.start, exitPatience)
		}
	}
}

// exitPatience is how long the keeper may take to record an exit that the pidfd
// has told already.
const exitPatience = 2 * time.Second

// keeperExit is the keeper's record of an exit, in the file PID-START.json.
type keeperExit struct {
	Code   int    `json:"code"`
	Signal string `json:"signal,omitempty"`
}

// awaitExit reads the keeper's record of an exit, waiting for it up to patience.
func awaitExit(dir string, pid int, start uint64, patience time.Duration) exitStatus {
	if dir == "" {
		return exitStatus{}
	}
	path := filepath.Join(dir, fmt.Sprintf("%d-%d.json", pid, start))
	for end := time.Now().Add(patience); ; {
		b, err := os.ReadFile(path)
		var rec keeperExit
		if err == nil && json.Unmarshal(b, &rec) == nil {
			return exitStatus{known: true, code: rec.Code, signal: rec.Signal}
		}
		if !time.Now().Before(end) {
			return exitStatus{}
		}
		<-time.After(10 * time.Millisecond)
	}
}
