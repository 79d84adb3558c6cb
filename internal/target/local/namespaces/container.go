package namespaces

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"titrate/internal/target/local/shim"
	"titrate/internal/target/local/within"
)

// Descriptors of the inside beside the standard ones.
const (
	specFD = 3 // what it is made of, in JSON, comes in here
	wireFD = 4 // requests come in here, and replies go out
)

// everything are the namespaces of a program.
const everything = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS | syscall.CLONE_NEWCGROUP

// Container is a program in namespaces, seen from outside. It is a [shim.Container].
type Container struct {
	spec    Spec
	command []string

	keeps []*os.File

	pid    int // of the first process within
	line   *within.Line
	egress *egress // nil: there is none
}

// New returns the container of spec, whose program keeps some files open. The command
// starts this program so that it calls [Inside].
func New(spec Spec, command []string, keeps ...*os.File) *Container {
	return &Container{spec: spec, command: command, keeps: keeps}
}

// Start makes the namespaces and starts the program in them. See [shim.Container].
func (c *Container) Start(_ context.Context, prepare func(shim.Network) error) error {
	who, err := lookUser(c.spec.Root, c.spec.User)
	if err != nil {
		return err
	}
	if err := c.folders(); err != nil {
		return err
	}
	if err := c.enter(who); err != nil {
		return err
	}
	if err := c.begin(prepare); err != nil {
		_ = unix.Kill(c.pid, unix.SIGKILL)
		c.Wait()
		return err
	}
	return nil
}

// enter makes the namespaces, with the best of the users that the machine gives.
func (c *Container) enter(who identity) error {
	all, err := mappings(who, c.spec.Users)
	if err != nil {
		return err
	}
	for i, m := range all {
		var wire *os.File
		c.pid, wire, err = fork(c.command, everything, m, inner{Spec: c.spec, Who: who})
		if err == nil {
			if c.line, err = within.NewLine(wire); err != nil {
				_ = unix.Kill(c.pid, unix.SIGKILL)
				reap(c.pid)
				return err
			}
			if m.way == alone && who.UID != 0 {
				c.spec.Egress = "" // it wants to be root within, and there is one user only
			}
			return nil
		}
		if _, ok := errors.AsType[*mapError](err); !ok || i == len(all)-1 {
			return err
		}
		fmt.Fprintf(os.Stderr, "titrate: the image has no users of its own: %v; see docs/images.md\n", err)
	}
	return err
}

func (c *Container) begin(prepare func(shim.Network) error) error {
	var err error
	if c.spec.Egress != "" { // meanwhile the root is made
		if c.egress, err = openEgress(c.spec.Egress, c.pid); err != nil {
			return err
		}
	}
	if err := c.line.Ready(); err != nil { // the root is made
		return err
	}
	if err := c.line.Keep(c.keeps); err != nil {
		return err
	}
	if err := prepare(c.line); err != nil {
		return err
	}
	if c.egress != nil {
		if err := c.egress.await(); err != nil {
			// A program that needs none runs as well without.
			fmt.Fprintln(os.Stderr, "titrate: the image reaches nothing outside of this machine:", err)
			c.egress = nil
		}
	}
	return c.line.Start(0)
}

// folders makes the folders of the program's layer. What an earlier one has left
// there goes.
func (c *Container) folders() error {
	if err := Remove(c.spec.Dir, c.command); err != nil {
		return fmt.Errorf("clear the layer of %s: %w", c.spec.Name, err)
	}
	for _, name := range []string{"root", "upper", "work", "image"} {
		if err := os.MkdirAll(filepath.Join(c.spec.Dir, name), 0o755); err != nil {
			return fmt.Errorf("make the layer of %s: %w", c.spec.Name, err)
		}
	}
	for _, fd := range []int{1, 2} { // for programs that open /dev/stdout, as whatever user
		_ = unix.Fchmod(fd, 0o666) // nobody else comes to where it lies
	}
	return nil
}

// fork starts a process of ours in new namespaces, tells it what it is for, and returns
// while it makes itself ready, with what it says. A [mapError] says that it cannot have
// these users.
func fork(command []string, flags uintptr, m mapping, in inner) (pid int, wire *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, fmt.Errorf("make a pair of sockets: %w", err)
	}
	wire = os.NewFile(uintptr(pair[0]), "wire")
	theirs := os.NewFile(uintptr(pair[1]), "wire")
	defer theirs.Close()
	defer func() {
		if err != nil {
			wire.Close()
		}
	}()
	specR, specW, err := os.Pipe()
	if err != nil {
		return 0, nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer specW.Close()
	pid, err = syscall.ForkExec(command[0], command, &syscall.ProcAttr{
		Dir: "/", Env: []string{}, Files: []uintptr{0, 1, 2, specR.Fd(), theirs.Fd()},
		Sys: &syscall.SysProcAttr{Cloneflags: flags, AmbientCaps: capabilities()},
	})
	specR.Close()
	if err != nil {
		return 0, nil, cannot("make namespaces", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Kill(pid, unix.SIGKILL)
			reap(pid)
		}
	}()
	// It waits for what it is for, and so has its users before it is anything.
	if err := m.give(pid); err != nil {
		return 0, nil, err
	}
	var trees []int
	if m.way == ownBlock {
		if trees, err = mappedTrees(in.Spec, pid); err != nil {
			return 0, nil, err
		}
		defer closeAll(trees)
	}
	in.Way, in.Trees = m.way, len(trees)
	// One that dies before it has read all says so by its end.
	_ = json.NewEncoder(specW).Encode(in)
	for _, fd := range trees {
		_ = giveTree(pair[0], fd)
	}
	return pid, wire, nil
}

// errand has a process among the users of m, and in further namespaces, do something,
// waits until it has ended, and returns how, and what it says of what it could not do.
func errand(command []string, further uintptr, m mapping, in inner) (unix.WaitStatus, error) {
	pid, wire, err := fork(command, syscall.CLONE_NEWUSER|further, m, in)
	if err != nil {
		return 0, err
	}
	defer wire.Close()
	said := make([]byte, 4096)
	n, _ := wire.Read(said) // nothing, once the other side is gone
	ws := reap(pid)
	if n > 0 {
		err = errors.New(string(said[:n]))
	}
	return ws, err
}

// capabilities are what the first process within keeps when it is executed: all of
// them, over its namespaces. It is nobody there yet.
func capabilities() []uintptr {
	out := []uintptr{}
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if _, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0); err == nil {
			out = append(out, c)
		}
	}
	return out
}

// Signal sends a signal to the program; SIGKILL ends all that is within.
func (c *Container) Signal(sig unix.Signal) { c.line.Signal(sig) }

// Wait returns how the program ended, once all that was within is gone.
func (c *Container) Wait() shim.Exit {
	end := c.line.End()
	ws := reap(c.pid)
	if c.egress != nil {
		c.egress.close()
	}
	switch {
	case end != nil:
		return end.Exit
	case ws.Signaled():
		return shim.Exit{Signal: ws.Signal()}
	default:
		return shim.Exit{Code: ws.ExitStatus()}
	}
}

// reap waits for a process of ours.
func reap(pid int) (ws unix.WaitStatus) {
	for {
		if _, err := unix.Wait4(pid, &ws, 0, nil); !errors.Is(err, unix.EINTR) {
			return ws
		}
	}
}
