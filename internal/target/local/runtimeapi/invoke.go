package runtimeapi

import (
	"context"
	"errors"
	"fmt"
)

// Invoke gives the function an event and waits for what it answers: [Environment.Begin].
func (e *Environment) Invoke(ctx context.Context, in Invocation) (*Answer, error) {
	over := make(chan result, 1)
	e.Begin(ctx, in, func(a *Answer, err error) { over <- result{a, err} })
	r := <-over
	return r.answer, r.failure
}

// Begin gives the function an event as soon as it waits for one, and does not wait itself.
// The context ends with the invocation's deadline, and not before the answer's body is read
// or closed. Then done is called with what it answers, once, by the goroutine that brought
// it about; before Begin returns, where there is nothing to wait for.
//
// The error is a [*InvocationError] where the function failed; [ErrBusy], [ErrGone] or
// [ErrPayload] where it was not reached, so that another environment may be asked. An
// invocation whose context ends has the environment in a state that nobody knows: it
// takes no more, and its process is to be killed ([Environment.Gone]).
func (e *Environment) Begin(ctx context.Context, in Invocation, done func(*Answer, error)) {
	if len(in.Payload) > MaxPayload {
		done(nil, ErrPayload)
		return
	}
	began := e.cfg.Clock()
	c := &call{Invocation: in, over: ctx.Done()}
	c.expired = func() *InvocationError {
		if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			return TimedOut(in.Deadline.Sub(began))
		}
		return failure(Exit, "Sandbox.Canceled", "The invocation was ended: "+context.Cause(ctx).Error())
	}
	var forget func() bool
	c.done = func(r result) {
		forget()
		done(r.answer, r.failure)
	}
	e.change(func() {
		// With the lock: it may have ended already, and is then to find the call.
		forget = context.AfterFunc(ctx, func() { e.expire(c, context.Cause(ctx)) })
		switch {
		case e.gone != nil:
			e.ends(c, result{failure: ErrGone})
		case e.call != nil, e.due != nil:
			e.ends(c, result{failure: ErrBusy})
		default:
			e.due = c
		}
	})
}

// expire ends a call whose time is over. One that the runtime never came for has not reached
// it.
func (e *Environment) expire(c *call, why error) {
	e.change(func() {
		if e.due == c {
			e.due = nil
			e.ends(c, result{failure: fmt.Errorf("%w: it was not ready for the event: %w", ErrBusy, why)})
		}
	})
	e.endOf(c, c.expired())
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
