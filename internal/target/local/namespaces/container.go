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

const all = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS | syscall.CLONE_NEWCGROUP

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
	if who.Alone = os.Geteuid() != 0; who.Alone && who.UID != 0 {
		c.spec.Egress = "" // it wants to be root within, and there is one user only
	}
	if err := c.folders(who); err != nil {
		return err
	}
	if err := c.fork(who); err != nil {
		return err
	}
	if err := c.begin(prepare); err != nil {
		_ = unix.Kill(c.pid, unix.SIGKILL)
		c.Wait()
		return err
	}
	return nil
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
func (c *Container) folders(who identity) error {
	if err := Remove(c.spec.Dir); err != nil {
		return fmt.Errorf("clear the layer of %s: %w", c.spec.Name, err)
	}
	for _, name := range []string{"root", "upper", "work"} {
		if err := os.MkdirAll(filepath.Join(c.spec.Dir, name), 0o755); err != nil {
			return fmt.Errorf("make the layer of %s: %w", c.spec.Name, err)
		}
	}
	for _, m := range c.spec.Mounts {
		if m.Own && !who.Alone {
			if err := os.Lchown(m.From, int(who.UID), int(who.GID)); err != nil {
				return fmt.Errorf("give %s to the program's user: %w", m.From, err)
			}
		}
	}
	return nil
}

// fork starts the first process within. It is still to make its root.
func (c *Container) fork(who identity) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make a pair of sockets: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "wire")
	defer theirs.Close()
	if c.line, err = within.NewLine(os.NewFile(uintptr(pair[0]), "wire")); err != nil {
		return err
	}
	specR, specW, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer specW.Close()
	sys := &syscall.SysProcAttr{Cloneflags: all, AmbientCaps: ambient()}
	if err := mapIDs(sys, who); err != nil {
		specR.Close()
		return err
	}
	c.pid, err = syscall.ForkExec(c.command[0], c.command, &syscall.ProcAttr{
		Dir: "/", Env: []string{}, Files: []uintptr{0, 1, 2, specR.Fd(), theirs.Fd()}, Sys: sys,
	})
	specR.Close()
	if err != nil {
		return cannot("make namespaces", err)
	}
	// One that dies before it has read all says so by its end.
	_ = json.NewEncoder(specW).Encode(inner{Spec: c.spec, Who: who})
	return nil
}

// ambient are the capabilities that the first process within keeps when it is not
// root there: all of them, over its namespaces.
func ambient() []uintptr {
	if os.Geteuid() == 0 {
		return nil
	}
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
	var ws unix.WaitStatus
	for {
		_, err := unix.Wait4(c.pid, &ws, 0, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
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
