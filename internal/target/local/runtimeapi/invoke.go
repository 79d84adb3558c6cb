package runtimeapi

import (
	"context"
	"errors"
	"fmt"
)

// Invoke gives the function an event and waits for what it answers. The context ends
// with the invocation's deadline, and not before the answer's body is read or closed.
//
// The error is a [*InvocationError] where the function failed; [ErrBusy], [ErrGone] or
// [ErrPayload] where it was not reached, so that another environment may be asked. An
// invocation whose context ends has the environment in a state that nobody knows: it
// takes no more, and its process is to be killed ([Environment.Gone]).
func (e *Environment) Invoke(ctx context.Context, in Invocation) (*Answer, error) {
	if len(in.Payload) > MaxPayload {
		return nil, ErrPayload
	}
	began := e.cfg.Clock()
	c := &call{Invocation: in, done: make(chan result, 1), over: ctx.Done()}
	c.expired = func() *InvocationError {
		if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			return TimedOut(in.Deadline.Sub(began))
		}
		return failure(Exit, "Sandbox.Canceled", "The invocation was ended: "+context.Cause(ctx).Error())
	}
	for {
		var err error
		taken := false
		e.change(func() {
			switch {
			case e.gone != nil:
				err = ErrGone
			case e.call != nil:
				err = ErrBusy
			case e.quiet():
				e.call, taken = c, true
				e.tell(invoked(c))
			}
		})
		if err != nil {
			return nil, err
		}
		if taken {
			break
		}
		if !e.await(ctx.Done(), func() bool { return e.quiet() || e.call != nil || e.gone != nil }) {
			return nil, fmt.Errorf("%w: it was not ready for the event: %w", ErrBusy, context.Cause(ctx))
		}
	}
	select {
	case r := <-c.done:
		return r.answer, r.failure
	case <-ctx.Done():
	}
	e.endOf(c, c.expired())
	r := <-c.done // the runtime may have been faster
	return r.answer, r.failure
}

// Gone is why the environment takes no more work; nil: it may.
func (e *Environment) Gone() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.gone
}

// Settled waits until no invocation is under way any more, or the channel is closed: the
// end of a streamed answer is read a moment before its environment knows that it is over.
func (e *Environment) Settled(done <-chan struct{}) {
	e.await(done, func() bool { return e.call == nil || e.gone != nil })
}

// Idle reports whether it waits for work: an invocation would begin at once.
func (e *Environment) Idle() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.quiet()
}
