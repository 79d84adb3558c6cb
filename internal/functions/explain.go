package functions

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"titrate/internal/node"
)

// CallError says why a function or a queue was not reached; it is what [node.Functions]
// and [node.Queues] return.
type CallError struct {
	Code string
	Why  string
	Help string // what to type next
	Err  error
}

// Error says what, and what to type next.
func (e *CallError) Error() string {
	text := fmt.Sprintf("error[%s]: %s", e.Code, e.Why)
	if e.Help != "" {
		text += "\n  help    " + e.Help
	}
	return text
}

// Unwrap returns what the node said.
func (e *CallError) Unwrap() error { return e.Err }

// Explain makes of what the node said about a call, by the name that was given, what a
// person can go on from. It looks closer only now: a call that goes well costs nothing more.
func (c *Catalogue) Explain(ctx context.Context, name string, i node.Invocation, err error) error {
	switch {
	case errors.Is(err, node.ErrUnknown), errors.Is(err, node.ErrNotFunction):
		f, found := c.Find(ctx, i.Key.App, i.Key.Env, name)
		switch {
		case found != nil:
			return found
		case i.Version > 0 && i.Version <= f.Newest:
			return &CallError{CodeVersion, fmt.Sprintf("%s of %s does not run: a version does that has events, or is in a rollout", i.Version, f.Key.Workload), "titrate fn ls shows those that run" + f.running(), err}
		case i.Version > 0:
			return &CallError{CodeVersion, fmt.Sprintf("%s has no version %s: the newest is %s", f.Key.Workload, i.Version, f.Newest), "titrate fn ls shows those that run" + f.running(), err}
		}
		return &CallError{CodeVersion, "no version of " + f.Key.Workload + " has been promoted yet", "titrate status " + i.Key.App, err}
	case errors.Is(err, node.ErrNotReady):
		return &CallError{CodeNotReady, i.Key.Workload + " could not be called: " + err.Error(), "titrate status " + i.Key.App + "; titrate fn logs " + i.Key.Workload, err}
	case errors.Is(err, node.ErrNoFunctions):
		return &CallError{CodeNotReady, err.Error(), "titrate up starts a node that has them", err}
	case errors.Is(err, node.ErrEvent):
		if i.Kind == node.Event {
			return &CallError{CodeEvent, err.Error(), "an event that is stored is JSON of at most 256 KiB; one whose answer is waited for, of 6 MiB", err}
		}
		return &CallError{CodeEvent, err.Error(), "an event is JSON of at most 6 MiB", err}
	}
	return unasked(ctx, err)
}

// unasked says that the node could not be asked, unless it is the caller who left.
func unasked(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return &CallError{CodeNotReady, "the node cannot be asked: " + err.Error(), "titrate status says whether it is up", err}
}

// running lists the versions that can be called, in brackets.
func (f Function) running() string {
	if len(f.Running) == 0 {
		return ""
	}
	var vs []string
	for _, r := range f.Running {
		vs = append(vs, r.Version.String())
	}
	return " (" + strings.Join(vs, ", ") + ")"
}

// ExplainQueue does the same of what the node said about a queue.
func (c *Catalogue) ExplainQueue(ctx context.Context, q node.QueueName, err error) error {
	switch {
	case errors.Is(err, node.ErrUnknown):
		all, qerr := c.Node.Queues(ctx, q.App, q.Env)
		var names []string
		for _, one := range all {
			names = append(names, one.Name)
		}
		why := fmt.Sprintf("there is no queue %s of %s in %s", q.Name, q.App, q.Env)
		if qerr == nil && len(names) > 0 {
			why += "\n  saw     " + strings.Join(names[:min(len(names), 8)], ", ")
		}
		return &CallError{CodeQueue, why, "titrate queue ls --app " + q.App + " --env " + q.Env, err}
	case errors.Is(err, node.ErrNoFunctions):
		return &CallError{CodeNotReady, err.Error(), "titrate up starts a node that has them", err}
	case errors.Is(err, node.ErrEvent):
		return &CallError{CodeEvent, err.Error(), "a message is text of at most 256 KiB, with its attributes", err}
	}
	return unasked(ctx, err)
}
