package local

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strconv"
	"time"

	"titrate/internal/procfs"

	"golang.org/x/sys/unix"
)

// tokenVar carries an instance's token in the environment of its processes, so
// that they can be told from all others, whatever they forked or detached.
const tokenVar = "TITRATE_SPAWN"

// pids lists the processes of this machine.
func pids() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var out []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

func hasToken(pid int, token string) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	return slices.ContainsFunc(bytes.Split(b, []byte{0}), func(v []byte) bool { return string(v) == tokenVar+"="+token })
}

// environ returns the environment that process pid was started with.
func environ(pid int) map[string]string {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	env := map[string]string{}
	for v := range bytes.SplitSeq(b, []byte{0}) {
		if name, value, ok := bytes.Cut(v, []byte{'='}); ok {
			env[string(name)] = string(value)
		}
	}
	return env
}

// family is the processes that descend from one spawn.
type family struct {
	token string
	pid   int    // of the first; 0: the token alone tells
	start uint64 // of the first
}

// session lists the living processes in the first one's session.
func (f family) session() []int {
	var out []int
	for _, pid := range pids() {
		if f.inSession(pid) {
			out = append(out, pid)
		}
	}
	return out
}

func (f family) inSession(pid int) bool {
	// Asked first, because it is cheap and says no of nearly all.
	if sid, err := unix.Getsid(pid); f.pid == 0 || err != nil || sid != f.pid {
		return false
	}
	st, err := procfs.Stat(pid)
	if err != nil || st[0] == "Z" || st[0] == "X" {
		return false
	}
	// While a session has members the kernel gives its number to nobody else, so
	// a leader with another start time means that it is another session.
	leader, err := procfs.StartTime(f.pid)
	return err != nil || leader == f.start
}

func (f family) members() []int {
	var out []int
	for _, pid := range pids() {
		if f.inSession(pid) || hasToken(pid, f.token) {
			out = append(out, pid)
		}
	}
	return out
}

// end makes sure that none of the family is left: those that live are asked to
// end, and killed when patience is over (0: at once) or hurry is closed. When ctx
// ends it leaves them alone.
func (f family) end(ctx context.Context, patience time.Duration, hurry <-chan struct{}) {
	if patience > 0 {
		f.signal(f.members(), unix.SIGTERM)
	}
	deadline := time.After(patience)
	hard := patience <= 0
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		left := f.members()
		if len(left) == 0 {
			return
		}
		if hard {
			f.signal(left, unix.SIGKILL)
		}
		select {
		case <-time.After(wait):
		case <-deadline:
			hard = true
		case <-hurry:
			hard, hurry = true, nil
		case <-ctx.Done():
			return
		}
	}
}

func (f family) signal(members []int, sig unix.Signal) {
	for _, pid := range members {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		// Looked at again, now that the number cannot change hands.
		if f.inSession(pid) || hasToken(pid, f.token) {
			_ = unix.PidfdSendSignal(fd, sig, nil, 0)
		}
		_ = unix.Close(fd)
	}
}
