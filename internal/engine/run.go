package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Run is one container from its creation to its removal.
type Run struct {
	Container Container
	// StopSignal is the image's word for being asked to end; empty: SIGTERM.
	StopSignal string
	// Stdout and Stderr take what the container writes.
	Stdout, Stderr io.Writer
	// Started is told once when it runs. An error ends it.
	Started func(Status) error
	// Stop asks the container to end, each time that something comes out of it.
	Stop <-chan struct{}
}

// Run runs a container, and returns how it ended once it is removed. While the
// engine is away the container runs on, if the engine lets it: it is waited for, and
// what was written meanwhile is told when it is back. An error means that it could
// not be started. When ctx ends the container is removed.
func (e *Engine) Run(ctx context.Context, r Run) (Status, error) {
	id, err := e.begin(ctx, r.Container)
	if errors.Is(err, ErrNotFound) { // its network may have been swept away in between
		id, err = e.begin(ctx, r.Container)
	}
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
	work.Go(func() { e.stops(over, id, r, first) })
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

// begin makes and starts a container, in its network.
func (e *Engine) begin(ctx context.Context, c Container) (id string, err error) {
	if c.Network != "" {
		if _, err := e.EnsureNetwork(ctx, c.Network, map[string]string{Label: c.Labels[Label]}); err != nil {
			return "", err
		}
	}
	if id, err = e.Create(ctx, c); err != nil {
		return "", err
	}
	if err = e.Start(ctx, id); err != nil {
		e.remove(ctx, id)
	}
	return id, err
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
	for {
		err := e.Logs(ctx, id, last, func(stream string, at time.Time, text []byte) error {
			if !last.IsZero() && !at.After(last) {
				return nil // told before the engine went away
			}
			last = at
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

// stops passes on what asks a container to end. While the engine is away, it does so
// itself where it may.
func (e *Engine) stops(ctx context.Context, id string, r Run, first first) {
	signal := r.StopSignal
	if signal == "" {
		signal = "SIGTERM"
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.Stop:
		}
		for ctx.Err() == nil {
			err := e.Kill(ctx, id, signal)
			if err == nil || !errors.Is(err, ErrGone) || first.signal(signal) {
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

func (f first) signal(name string) bool {
	sig := unix.SignalNum(name)
	return f >= 0 && sig != 0 && unix.PidfdSendSignal(int(f), sig, nil, 0) == nil
}

// Ended says how a container ended, for people; limit is its limit of memory.
func (s Status) Ended(limit int64) string {
	switch {
	case s.Error != "":
		return s.Error
	case s.OOMKilled && limit > 0:
		return fmt.Sprintf("was killed: it used more than its limit of memory, %d MiB", limit>>20)
	case s.OOMKilled:
		return "was killed: the machine had no memory left"
	case s.Exit > 128 && unix.SignalName(unix.Signal(s.Exit-128)) != "":
		return "was ended by a signal: " + unix.Signal(s.Exit-128).String()
	default:
		return fmt.Sprintf("exited with status %d", s.Exit)
	}
}
