// Package container runs a program in a container of this machine's engine, for the
// shim that stands for it.
//
// The engine is asked to create, start and remove, and nothing else: whether a program
// is well, and whether it is started again, is the supervisor's to say, which knows
// the traffic too. So a container has neither a health check nor a restart policy of
// the engine's: two that decide would undo each other's decisions.
//
// The first process of a container is this program ([First]), which the shim holds by a
// socket that is mounted into that container alone. What a program needs while it runs,
// its outputs, connections, signals and locks, goes that way, past the engine: which
// may go away meanwhile, and need not be root, nor need we.
package container

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/engine"
	"titrate/internal/procfs"
	"titrate/internal/target/local/shim"
	"titrate/internal/target/local/within"
)

// Spec says what is run, and by which engine.
type Spec struct {
	Socket string // of the engine
	Owner  string // whose the container is: see [engine.Owner]
	// Init is the file of this program, and the arguments with which it calls [First].
	Init []string
	Dir  string // a folder of the container's own, for its socket
	// PID is a file that holds the number of the first process, in this process's view,
	// while it runs; empty: nobody asks.
	PID string
	// Note is a file for what is to be known of the program's end beyond its exit
	// status; empty: nobody asks.
	Note string
	// Loose says that the engine keeps no limits: that of memory is kept by looks then.
	Loose bool
	engine.Container
}

// Container is a [shim.Container] in an engine.
type Container struct {
	spec  Spec
	keeps []*os.File

	engine *engine.Engine
	id     string
	line   *within.Line
}

// New returns the container of s, whose program keeps some files open. It is not made
// before it is started.
func New(s Spec, keeps ...*os.File) *Container { return &Container{spec: s, keeps: keeps} }

// Alive reports whether the process lives that looks after a container, by the
// value of the label [engine.LabelShim].
func Alive(mark string) bool {
	var pid int
	var start uint64
	if _, err := fmt.Sscanf(mark, "%d-%d", &pid, &start); err != nil {
		return false
	}
	now, err := procfs.StartTime(pid)
	return err == nil && now == start
}

// mark names this process, so that no later one of the same number is taken for it.
func mark() (string, error) {
	pid := os.Getpid()
	start, err := procfs.StartTime(pid)
	return fmt.Sprintf("%d-%d", pid, start), err
}

// Start implements [shim.Container].
func (c *Container) Start(ctx context.Context, prepare func(shim.Network) error) error {
	ln, err := listen(c.spec.Dir)
	if err != nil {
		return err
	}
	defer ln.Close() //nolint:errcheck // nobody calls any more
	me, err := mark()
	if err != nil {
		return fmt.Errorf("look at this process: %w", err)
	}
	if c.engine, err = engine.Open("unix://" + c.spec.Socket); err != nil {
		return err
	}
	con := c.spec.Container
	con.Labels = map[string]string{engine.Label: c.spec.Owner, engine.LabelShim: me, engine.LabelInstance: con.Labels[engine.LabelInstance]}
	con.Command = append(append([]string{programAt}, c.spec.Init[1:]...), con.Command...)
	con.Mounts = append([]engine.Mount{
		{From: c.spec.Init[0], To: programAt, ReadOnly: true}, {From: filepath.Join(c.spec.Dir, socketName), To: socketAt, ReadOnly: true},
	}, con.Mounts...)
	if c.spec.Loose {
		con.Limits = engine.Limits{}
	}
	if con.Limits.Memory > 0 {
		con.Limits.Memory += within.Memory
	}
	if con.Limits.Processes > 0 {
		con.Limits.Processes += within.Processes
	}
	if c.id, err = c.engine.Launch(ctx, con); err != nil {
		return c.unstarted(err)
	}
	if err := c.begin(ctx, ln, prepare); err != nil {
		c.remove()
		return err
	}
	return nil
}

// begin has the first process start the program.
func (c *Container) begin(ctx context.Context, ln *net.UnixListener, prepare func(shim.Network) error) error {
	var err error
	if c.line, err = c.accept(ctx, ln); err != nil {
		return err
	}
	if err := c.line.Ready(); err != nil {
		return err
	}
	_ = unix.Fchmod(1, 0o666) // for programs that open /dev/stdout, whoever they run as;
	_ = unix.Fchmod(2, 0o666) // nobody else comes near
	if err := c.line.Keep(c.keeps); err != nil {
		return err
	}
	if err := prepare(network{c.line, c}); err != nil {
		return err
	}
	if c.spec.PID != "" {
		if pid, err := c.line.PID(); err == nil && pid > 0 {
			if err := os.WriteFile(c.spec.PID, fmt.Append(nil, pid), 0o600); err != nil {
				return fmt.Errorf("tell of the container's process: %w", err)
			}
		}
	}
	if !c.spec.Loose {
		return c.line.Start(0)
	}
	if l := c.spec.Limits; l.CPU > 0 || l.Processes > 0 {
		fmt.Fprintln(os.Stderr, "titrate: limits.cpu and limits.processes are not kept: the container engine is not root's, and control groups of version 1 are")
	}
	return c.line.Start(c.spec.Limits.Memory)
}

// unstarted says why a container could not be started, in words that help.
func (c *Container) unstarted(err error) error {
	if errors.Is(err, engine.ErrNotFound) {
		return fmt.Errorf("the container engine has the image %.19s… no more; push again, or titrate rollout retry, after: titrate deploy builds it anew: %w", c.spec.Image, err)
	}
	return fmt.Errorf("%w%s", err, unfit(c.spec.Init[0]))
}

// Signal implements [shim.Container].
func (c *Container) Signal(sig unix.Signal) { c.line.Signal(sig) }

// Wait implements [shim.Container].
func (c *Container) Wait() shim.Exit {
	end := c.line.End()
	if end == nil {
		end = c.lost()
	}
	if c.spec.PID != "" {
		os.Remove(c.spec.PID)
	}
	c.remove()
	if end.OutOfMemory && end.Signal == unix.SIGKILL {
		c.note(&end.Exit)
	}
	return end.Exit
}

// note leaves what there is to know of a kill for memory where it is asked for, or in the
// program's log.
func (c *Container) note(e *shim.Exit) {
	e.Note = "was killed: this machine had no memory left"
	if m := c.spec.Limits.Memory; m > 0 {
		e.Note = fmt.Sprintf("was killed: it used more than its memory limit of %d MB", m>>20)
	}
	if c.spec.Note != "" && os.WriteFile(c.spec.Note, []byte(e.Note), 0o600) == nil {
		e.Note = "" // told there
	}
}

const (
	// endMost is how long the engine may take to tell of an end.
	endMost = 5 * time.Second
	// removeMost is how long the removal of a container may take. One that stays is
	// removed by a later [engine.Engine.Sweep].
	removeMost = 10 * time.Second
)

func (c *Container) remove() { c.removeOne(c.id) }

func (c *Container) removeOne(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), removeMost)
	defer cancel()
	_ = c.engine.Remove(ctx, id) // see removeMost
}

// lost tells how a program ended whose first process did not say: it was killed, and the
// engine may know why.
func (c *Container) lost() *within.End {
	end := &within.End{Exit: shim.Exit{Signal: unix.SIGKILL}}
	ctx, cancel := context.WithTimeout(context.Background(), endMost)
	defer cancel()
	st, err := c.engine.Wait(ctx, c.id)
	if end.OutOfMemory = err == nil && st.OOMKilled; errors.Is(err, engine.ErrNotFound) {
		end.Note = "the container was removed by somebody else"
	}
	return end
}
