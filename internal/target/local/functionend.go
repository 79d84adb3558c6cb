package local

import (
	"context"
	"slices"
	"time"

	"titrate/internal/world"

	"golang.org/x/sys/unix"
)

// How long an environment with extensions may take to end: those that asked to be told
// have the first time, and a runtime that only wants to hear of SIGTERM at least the
// second ("Understanding the Lambda execution environment lifecycle").
const (
	shutdownLimit = 2 * time.Second
	farewellLimit = 500 * time.Millisecond
)

// end ends the environment, and returns when nothing of it is left. One that waits for
// work is asked to, and killed when grace is over; one whose invocation was given up is
// killed at once. Its extensions are told why.
func (e *environment) end(grace time.Duration) {
	e.change(world.InstanceDraining)
	switch {
	case e.proc != nil:
		e.endProcess(grace)
	case e.extensions > 0: // one of them kept it from starting
		e.family().end(context.Background(), 0, e.fn.cut)
	}
	s := e.fn.s
	if e.out != nil {
		e.out.close()
	}
	if e.server != nil {
		e.server.Close()
	}
	s.removeGroup(e.group)
	s.forgetDir(e.dir)
	s.mu.Lock()
	e.fn.envs = slices.DeleteFunc(e.fn.envs, func(other *environment) bool { return other == e })
	s.touch()
	s.mu.Unlock()
	e.fn.nudge()
}

// endProcess ends all that has come of the process.
func (e *environment) endProcess(grace time.Duration) {
	now := e.fn.s.cfg.Now()
	reason := "spindown"
	if e.api.Gone() != nil {
		reason, grace = "failure", 0
	}
	patience := max(grace, farewellLimit)
	if told := e.api.Shutdown(reason, now.Add(shutdownLimit)); told > 0 {
		patience = shutdownLimit
	}
	if e.api.Extensions() > 0 {
		sig := unix.SIGTERM
		if grace == 0 {
			sig = unix.SIGKILL
		}
		e.proc.signal(sig)
		e.family().leave(patience, e.fn.cut)
		grace = 0
	}
	e.family().end(context.Background(), grace, e.fn.cut)
	<-e.told
	e.proc.letGo()
}

// leave waits until none of the family is left, for a time, or until nobody has it.
func (f family) leave(patience time.Duration, hurry <-chan struct{}) {
	over := time.NewTimer(patience)
	defer over.Stop()
	for wait := time.Millisecond; len(f.members()) > 0; wait = min(2*wait, 100*time.Millisecond) {
		select {
		case <-time.After(wait):
		case <-over.C:
			return
		case <-hurry:
			return
		}
	}
}
