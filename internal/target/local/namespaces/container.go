package namespaces

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"titrate/internal/target/local/shim"
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

	pid     int // of the first process within
	wire    wire
	replies chan answer   // closed when the inside is gone
	gone    chan struct{} // the same
	exit    *shim.Exit    // valid then; nil: it did not say
	egress  *egress       // nil: there is none

	asking sync.Mutex // one request at a time
}

// answer is a reply with what came along.
type answer struct {
	reply
	fd int
}

// New returns the container of spec. The command starts this program so that it
// calls [Inside].
func New(spec Spec, command []string) *Container {
	return &Container{spec: spec, command: command, replies: make(chan answer), gone: make(chan struct{})}
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
	go c.listen()
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
		err = c.fork(everything, m, inner{Spec: c.spec, Who: who})
		if err == nil {
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
	if _, err := c.answer(); err != nil { // the root is made
		return err
	}
	if err := prepare(c); err != nil {
		return err
	}
	if c.egress != nil {
		if err := c.egress.await(); err != nil {
			// A program that needs none runs as well without.
			fmt.Fprintln(os.Stderr, "titrate: the image reaches nothing outside of this machine:", err)
			c.egress = nil
		}
	}
	_, err = c.ask(request{Start: true})
	return err
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

// fork starts the first process within, tells it what it is for, and returns while
// it makes itself ready. A [mapError] says that it cannot have these users.
func (c *Container) fork(flags uintptr, m mapping, in inner) (err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make a pair of sockets: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "wire")
	defer theirs.Close()
	if c.wire, err = newWire(os.NewFile(uintptr(pair[0]), "wire")); err != nil {
		return err
	}
	specR, specW, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer specW.Close()
	c.pid, err = syscall.ForkExec(c.command[0], c.command, &syscall.ProcAttr{
		Dir: "/", Env: []string{}, Files: []uintptr{0, 1, 2, specR.Fd(), theirs.Fd()},
		Sys: &syscall.SysProcAttr{Cloneflags: flags, AmbientCaps: capabilities()},
	})
	specR.Close()
	if err != nil {
		return cannot("make namespaces", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Kill(c.pid, unix.SIGKILL)
			_ = c.wire.conn.Close()
			c.reap()
		}
	}()
	// It waits for what it is for, and so has its users before it is anything.
	if err := m.give(c.pid); err != nil {
		return err
	}
	var trees []int
	if m.way == ownBlock {
		if trees, err = mappedTrees(in.Spec, c.pid); err != nil {
			return err
		}
		defer closeAll(trees)
	}
	in.Way, in.Trees = m.way, len(trees)
	// One that dies before it has read all says so by its end.
	_ = json.NewEncoder(specW).Encode(in)
	for _, fd := range trees {
		_ = c.wire.send(request{}, fd)
	}
	return nil
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

// listen takes what the inside says, until it is gone.
func (c *Container) listen() {
	defer close(c.gone)
	defer close(c.replies)
	for {
		var a answer
		var err error
		if a.fd, err = c.wire.receive(&a.reply); err != nil {
			return
		}
		if a.Exit != nil {
			c.exit = a.Exit
			continue
		}
		c.replies <- a
	}
}

var errGone = errors.New("the first process of the namespaces has ended")

// answer waits for a reply. A descriptor that comes along is the caller's.
func (c *Container) answer() (fd int, err error) {
	a, ok := <-c.replies
	switch {
	case !ok:
		return -1, errGone
	case a.Error != "" && a.Errno != 0:
		return -1, &insideError{a.Error, a.Errno}
	case a.Error != "":
		return -1, errors.New(a.Error)
	}
	return a.fd, nil
}

// ask sends a request and waits for its reply.
func (c *Container) ask(r request) (fd int, err error) {
	c.asking.Lock()
	defer c.asking.Unlock()
	if err := c.wire.send(r, -1); err != nil {
		return -1, errGone
	}
	return c.answer()
}

// insideError is an error of the other side.
type insideError struct {
	text  string
	errno unix.Errno
}

func (e *insideError) Error() string { return e.text }
func (e *insideError) Unwrap() error { return e.errno }

// Signal sends a signal to the program; SIGKILL ends all that is within.
func (c *Container) Signal(sig unix.Signal) {
	if sig == unix.SIGKILL {
		_ = unix.Kill(c.pid, unix.SIGKILL) // not reaped before Wait returns
		return
	}
	_, _ = c.ask(request{Signal: sig})
}

// Wait returns how the program ended, once all that was within is gone.
func (c *Container) Wait() shim.Exit {
	<-c.gone
	ws := c.reap()
	if c.egress != nil {
		c.egress.close()
	}
	switch {
	case c.exit != nil:
		return *c.exit
	case ws.Signaled():
		return shim.Exit{Signal: ws.Signal()}
	default:
		return shim.Exit{Code: ws.ExitStatus()}
	}
}

// reap waits for the first process within.
func (c *Container) reap() (ws unix.WaitStatus) {
	for {
		if _, err := unix.Wait4(c.pid, &ws, 0, nil); !errors.Is(err, unix.EINTR) {
			return ws
		}
	}
}
