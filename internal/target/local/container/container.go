// Package container runs a program in a container of this machine's engine, for the
// shim that stands for it.
//
// The engine is asked to start, stop and remove, and nothing else: whether a program
// is well, and whether it is started again, is the supervisor's to say, which knows
// the traffic too. So a container has neither a health check nor a restart policy of
// the engine's: two that decide would undo each other's decisions.
package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/engine"
	"titrate/internal/procfs"
	"titrate/internal/target/local/shim"
)

// Spec says what is run, and by which engine.
type Spec struct {
	Socket string // of the engine
	Owner  string // whose the container is: see [engine.Owner]
	// PID is a file that holds the number of the program's process, in this machine's
	// view, while it runs; empty: nobody asks.
	PID string
	// Note is a file for what is to be known of the program's end beyond its exit
	// status; empty: nobody asks.
	Note string
	engine.Container
}

// Container is a [shim.Container] in an engine.
type Container struct {
	spec    Spec
	signals chan unix.Signal
	end     context.CancelFunc
	ended   chan struct{}

	// Before ended is closed these are Start's own.
	exit shim.Exit
	err  error

	once sync.Once
}

// New returns the container of s. It is not made before it is started.
func New(s Spec) *Container {
	return &Container{spec: s, signals: make(chan unix.Signal, 8), ended: make(chan struct{})}
}

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
	e, err := engine.Open("unix://" + c.spec.Socket)
	if err != nil {
		return err
	}
	v, err := e.Version(ctx)
	if err != nil {
		return err
	}
	me, err := mark()
	if err != nil {
		return fmt.Errorf("look at this process: %w", err)
	}
	con := c.spec.Container
	con.Labels = map[string]string{engine.Label: c.spec.Owner, engine.LabelShim: me, engine.LabelInstance: con.Labels[engine.LabelInstance]}
	con.Publish = v.Rootless || os.Geteuid() != 0 // its network cannot be entered
	if con.Name != "" {                           // what a shim that was killed has left under its name
		if err := e.Remove(ctx, con.Name); err != nil {
			return err
		}
	}
	ctx, c.end = context.WithCancel(ctx)
	started := make(chan struct{})
	go func() {
		defer close(c.ended)
		st, err := e.Run(ctx, engine.Run{
			Container: con, Stdout: os.Stdout, Stderr: os.Stderr, Signals: c.signals,
			Started: func(st engine.Status) error {
				n, err := c.network(ctx, e, st)
				if err == nil {
					err = prepare(n)
				}
				if err == nil && c.spec.PID != "" {
					err = os.WriteFile(c.spec.PID, fmt.Append(nil, st.PID), 0o600)
				}
				if err == nil {
					c.once.Do(func() { close(started) })
				}
				return err
			},
		})
		if c.spec.PID != "" {
			os.Remove(c.spec.PID)
		}
		c.exit, c.err = c.exitOf(st), err
	}()
	select {
	case <-started:
		return nil
	case <-c.ended:
		return c.unstarted(c.err)
	}
}

// network is that of a container that was started. One that has ended already has none.
func (c *Container) network(ctx context.Context, e *engine.Engine, st engine.Status) (shim.Network, error) {
	n, err := openNetwork(st)
	if err == nil {
		return n, nil
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || st.Published != 0 && errors.Is(err, unix.ENOENT) {
		return &outside{st: st}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, endMost)
	defer cancel()
	if now, werr := e.Wait(ctx, st.ID); werr == nil && !now.Running {
		return ended{}, nil
	}
	return nil, err
}

// endMost is how long the engine may take to notice that a process has ended.
const endMost = 5 * time.Second

// unstarted says why a container could not be started, in words that help.
func (c *Container) unstarted(err error) error {
	if errors.Is(err, engine.ErrNotFound) {
		return fmt.Errorf("the container engine has the image %.19s… no more; push again, or titrate rollout retry, after: titrate deploy builds it anew: %w", c.spec.Image, err)
	}
	return err
}

// Signal implements [shim.Container].
func (c *Container) Signal(sig unix.Signal) {
	select {
	case c.signals <- sig:
	default: // as many are on their way as anybody could want
	}
}

// Wait implements [shim.Container].
func (c *Container) Wait() shim.Exit {
	<-c.ended
	exit := c.exit
	if c.err != nil {
		exit = shim.Exit{Code: 125, Note: c.err.Error()}
	}
	if exit.Note != "" && c.spec.Note != "" && os.WriteFile(c.spec.Note, []byte(exit.Note), 0o600) == nil {
		exit.Note = "" // told there
	}
	return exit
}

func (c *Container) exitOf(st engine.Status) shim.Exit {
	exit := shim.Exit{Code: st.Exit, Note: st.Error}
	if st.Exit < 0 || st.Exit > 255 {
		exit.Code = 125
	}
	if sig := unix.Signal(st.Exit - 128); st.Exit > 128 && unix.SignalName(sig) != "" {
		exit = shim.Exit{Signal: sig, Note: st.Error}
	}
	switch {
	case st.OOMKilled && c.spec.Limits.Memory > 0:
		exit.Note = fmt.Sprintf("was killed: it used more than its memory limit of %d MB", c.spec.Limits.Memory>>20)
	case st.OOMKilled:
		exit.Note = "was killed: this machine had no memory left"
	}
	return exit
}
