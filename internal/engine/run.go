package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Run is one container from its creation to its removal.
type Run struct {
	Container Container
	// Stdout and Stderr take what the container writes.
	Stdout, Stderr io.Writer
	// Started is told once when it runs. An error ends it.
	Started func(Status) error
	// Signals are passed on to the container's first process.
	Signals <-chan unix.Signal
}

// Run runs a container, and returns how it ended once it is removed. While the
// engine is away the container runs on, if the engine lets it: it is waited for, and
// what was written meanwhile is told when it is back. An error means that it could
// not be started. When ctx ends the container is removed.
func (e *Engine) Run(ctx context.Context, r Run) (Status, error) {
	id, err := e.begin(ctx, r.Container)
	if err != nil {
		return Status{}, err
	}
	defer e.remove(ctx, id)
	st, err := e.Status(ctx, id)
	if err != nil {
		return Status{}, err
	}
	first := newFirst(st.PID, id)
	defer first.close()
	if err := r.Started(st); err != nil {
		return Status{}, err
	}
	var work sync.WaitGroup
	defer work.Wait()
	over, end := context.WithCancel(ctx)
	defer end()
	told := make(chan struct{})
	work.Go(func() {
		defer close(told)
		e.follow(over, id, r)
	})
	work.Go(func() { e.pass(over, id, r.Signals, first) })
	st, err = e.await(ctx, id)
	if err != nil {
		return Status{}, err
	}
	select { // what it wrote at its end
	case <-told:
	case <-time.After(tellMost):
	}
	return st, nil
}

// begin makes and starts a container: with an init where the engine has one, which
// it does not know before it looks for the program.
func (e *Engine) begin(ctx context.Context, c Container) (id string, err error) {
	v, err := e.Version(ctx)
	if err != nil {
		return "", err
	}
	c.Init = v.init != ""
	for {
		if id, err = e.Create(ctx, c); err != nil {
			return "", err
		}
		if err = e.Start(ctx, id); err == nil {
			return id, nil
		}
		e.remove(ctx, id)
		if !c.Init || !strings.Contains(err.Error(), v.init) {
			return "", err
		}
		c.Init = false
	}
}

// tellMost is how long the engine may take to tell the last of what a container
// wrote that has ended.
const tellMost = 5 * time.Second

// removeMost is how long the removal of a container may take. One that stays is
// removed by a later [Engine.Sweep].
const removeMost = 10 * time.Second

func (e *Engine) remove(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeMost)
	defer cancel()
	_ = e.Remove(ctx, id) // see removeMost
}

// await returns how a container ended, however often the engine goes away meanwhile.
func (e *Engine) await(ctx context.Context, id string) (Status, error) {
	for {
		st, err := e.Wait(ctx, id)
		switch {
		case err == nil && !st.Running:
			return st, nil
		case errors.Is(err, ErrNotFound): // somebody removed it
			return Status{Exit: -1, Error: "its container was removed by somebody else"}, nil
		case ctx.Err() != nil:
			return Status{}, ctx.Err()
		}
		if err := e.awaitBack(ctx); err != nil {
			return Status{}, err
		}
	}
}

// awaitBack returns when the engine answers.
func (e *Engine) awaitBack(ctx context.Context) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		if _, err := e.Version(ctx); err == nil {
			return nil
		}
	}
}

// follow copies what a container writes until it has ended and all is told.
func (e *Engine) follow(ctx context.Context, id string, r Run) {
	var last time.Time
	told := 0 // pieces of that time: an engine may know no more of time than the second
	for {
		again := told
		err := e.Logs(ctx, id, last, func(stream string, at time.Time, text []byte) error {
			switch {
			case at.IsZero(): // without a time
			case at.Before(last):
				return nil
			case at.Equal(last) && again > 0:
				again-- // told before the engine went away
				return nil
			case at.Equal(last):
				told++
			default:
				last, told = at, 1
			}
			again = 0
			w := r.Stdout
			if stream == "stderr" {
				w = r.Stderr
			}
			_, err := w.Write(text)
			return err
		})
		if st, serr := e.Status(ctx, id); err == nil && serr == nil && !st.Running || errors.Is(serr, ErrNotFound) {
			return
		}
		if e.awaitBack(ctx) != nil {
			return
		}
	}
}

// pass passes signals on to a container. While the engine is away, it sends them
// itself where it may.
func (e *Engine) pass(ctx context.Context, id string, signals <-chan unix.Signal, first first) {
	for {
		var sig unix.Signal
		select {
		case <-ctx.Done():
			return
		case sig = <-signals:
		}
		for ctx.Err() == nil {
			err := e.Kill(ctx, id, strconv.Itoa(int(sig)))
			if err == nil || !errors.Is(err, ErrGone) || first.signal(sig) {
				break
			}
			if e.awaitBack(ctx) != nil {
				return
			}
		}
	}
}

// first holds the first process of a container, where this process may signal it.
type first int

func newFirst(pid int, id string) first {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1
	}
	// An engine in a pid namespace of its own counts differently: the number would be
	// another process's.
	if groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid)); err != nil || !bytes.Contains(groups, []byte(id)) {
		_ = unix.Close(fd)
		return -1
	}
	return first(fd)
}

func (f first) close() {
	if f >= 0 {
		_ = unix.Close(int(f))
	}
}

func (f first) signal(sig unix.Signal) bool {
	return f >= 0 && unix.PidfdSendSignal(int(f), sig, nil, 0) == nil
}
