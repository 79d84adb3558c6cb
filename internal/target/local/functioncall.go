package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"titrate/internal/invocation"
	"titrate/internal/target/local/pool"
	"titrate/internal/target/local/runtimeapi"
)

const (
	tailBytes = 4 << 10 // of Called.Tail, as Lambda has it
	mostTries = 4       // of environments that have ended while they were idle
)

// answered is how a call went: an answer, or what a caller of Lambda is shown in its place.
type answered struct {
	answer  *runtimeapi.Answer // nil: it failed
	payload []byte
	called  invocation.Called
	over    chan answered // of a streamed answer: how it went, once it is read or closed
}

// Invoke gives the version an event and returns what it answered.
func (fn *function) Invoke(ctx context.Context, event []byte, c invocation.Call) ([]byte, invocation.Called) {
	a := fn.call(ctx, event, c)
	if a.answer == nil {
		return a.payload, a.called
	}
	defer a.answer.Body.Close()
	if c.To != nil {
		return pass(ctx, a, c.To())
	}
	body, err := io.ReadAll(io.LimitReader(a.answer.Body, runtimeapi.MaxPayload+1))
	switch {
	case err != nil:
		a = failedBy(err, a.called)
	case len(body) > runtimeapi.MaxPayload: // a stream may be longer; who is not streamed to cannot have it
		a = refusedBy(invocation.TooLarge, "Function.ResponseSizeTooLarge", "The streamed response is larger than 6 MiB, and was not asked for as a stream.")
	default:
		return body, a.called
	}
	return a.payload, a.called
}

// pass writes an answer as it comes, and returns how it went.
func pass(ctx context.Context, a answered, to io.Writer) ([]byte, invocation.Called) {
	// A function that says nothing for long is not waited for by one who went away.
	leave := context.AfterFunc(ctx, func() { a.answer.Body.Close() })
	defer leave()
	w := &taker{Writer: to}
	_, err := io.Copy(w, a.answer.Body)
	if w.err == nil {
		w.err = context.Cause(ctx)
	}
	switch {
	case err != nil && w.err != nil:
		a = refusedBy(invocation.Canceled, "Sandbox.Canceled", "The caller went away: "+w.err.Error())
	case a.over != nil:
		a = <-a.over
	}
	return a.payload, a.called
}

// taker remembers that it could not be written to.
type taker struct {
	io.Writer
	err error
}

func (t *taker) Write(p []byte) (int, error) {
	n, err := t.Writer.Write(p)
	t.err = err
	return n, err
}

// call has an environment work on an event, and waits for what it answers. The function goes
// on with it when the caller goes away, as in Lambda; the answer is nobody's then.
func (fn *function) call(ctx context.Context, event []byte, c invocation.Call) answered {
	done := make(chan answered, 1)
	fn.begin(ctx, event, c, func(a answered) { done <- a })
	select {
	case a := <-done:
		return a
	case <-ctx.Done():
	}
	go func() {
		if a := <-done; a.answer != nil {
			a.answer.Body.Close()
		}
	}()
	return refusedBy(invocation.Canceled, "Sandbox.Canceled", "The caller went away: "+context.Cause(ctx).Error())
}

// begin has an environment work on an event, and does not wait itself. The context's end
// takes the event out of the queue for an environment only. Then is called once, with how it
// went, by any goroutine; before begin returns, where there is nothing to wait for.
func (fn *function) begin(ctx context.Context, event []byte, c invocation.Call, then func(answered)) {
	if len(event) > runtimeapi.MaxPayload {
		then(refusedBy(invocation.TooLarge, "RequestEntityTooLarge", fmt.Sprintf("The event of %d bytes is larger than 6 MiB.", len(event))))
		return
	}
	fn.account.begin(fn.s.cfg.Now())
	w := &work{fn: fn, ctx: ctx, event: event, call: c, then: then}
	if e, ok := fn.pool.Take(); ok {
		w.at(e)
		return
	}
	go w.lend()
}

// work is an event on its way through a function.
type work struct {
	fn    *function
	ctx   context.Context //nolint:containedctx // the caller's, for as long as it waits in the queue
	event []byte
	call  invocation.Call
	then  func(answered)
	cold  bool
	tries int
}

// lend waits for an environment.
func (w *work) lend() {
	fn := w.fn
	e, fresh, err := fn.pool.Lend(w.ctx)
	w.cold = w.cold || fresh
	if err == nil {
		w.at(e)
		return
	}
	a := fn.notLent(err)
	fn.account.end(fn.s.cfg.Now(), w.call.Real && a.called.Failure.Reached())
	if a.called.Failure.Reached() {
		fn.s.logFile(fn.f.id.key).write(fn.id, "titrate", fn.f.redact.lines(append([]string{fn.opens(w.call)}, fn.closes(w.call, a.called, 0)...)))
	}
	w.then(a)
}

// at is one try at an environment.
func (w *work) at(e *environment) {
	fn, c := w.fn, w.call
	wish, began := fn.wish.Load(), fn.s.cfg.Now()
	e.atWork.Store(true)
	w.tries++
	// The caller's values, and not his end.
	limited, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), wish.timeout)
	alias := "live"
	if !c.Real {
		alias = wish.identity.Version
	}
	if e.served.Swap(true) {
		e.before.Store(int64(e.out.written()))
	}
	e.lines.begin(fn.opens(c))
	e.api.Begin(limited, runtimeapi.Invocation{
		ID: c.ID, Payload: w.event, Deadline: began.Add(wish.timeout), ClientContext: c.ClientContext,
		ARN: "arn:aws:lambda:local:000000000000:function:" + wish.identity.Name + ":" + alias,
	}, func(answer *runtimeapi.Answer, err error) {
		called := invocation.Called{Cold: w.cold}
		switch {
		case errors.Is(err, runtimeapi.ErrGone): // it had ended, and was not reached
			cancel()
			w.again(e, failedBy(runtimeapi.Ended("the process ended while it was idle"), called))
			return
		case errors.Is(err, runtimeapi.ErrBusy): // it never came to ask for more, in all its time
			e.api.Exited(runtimeapi.TimedOut(wish.timeout))
			err = runtimeapi.TimedOut(wish.timeout)
		}
		switch {
		case err != nil:
			cancel()
			w.then(fn.finish(e, c, failedBy(err, called), began))
		case answer.Streamed: // it comes through the goroutine that is here
			a := fn.streamed(limited, cancel, e, c, answered{answer: answer, called: called}, began)
			go w.then(a)
		default:
			cancel()
			w.then(fn.finish(e, c, answered{answer: answer, called: called}, began))
		}
	})
}

// again tries another environment; failed is what is told when that has been done often.
func (w *work) again(e *environment, failed answered) {
	if w.tries == mostTries {
		w.then(w.fn.finish(e, w.call, failed, w.fn.s.cfg.Now()))
		return
	}
	e.lines.end(false)
	w.fn.giveBack(e)
	go w.lend()
}

// streamed is an answer that is still being made: its environment is given back when it is
// read to its end, or closed.
func (fn *function) streamed(limited context.Context, cancel context.CancelFunc, e *environment, c invocation.Call, a answered, began time.Time) answered {
	a.over = make(chan answered, 1)
	a.answer.Body = &streamed{ReadCloser: a.answer.Body, done: func(err error) {
		over := answered{called: a.called}
		if err != nil {
			over = failedBy(err, a.called)
		}
		fn.s.calls.Go(func() {
			e.api.Settled(limited.Done())
			cancel()
			a.over <- fn.finish(e, c, over, began)
		})
	}}
	return a
}

// finish gives an environment back, and accounts for its call.
func (fn *function) finish(e *environment, c invocation.Call, a answered, began time.Time) answered {
	ended := fn.s.cfg.Now()
	failed := a.called.Failure != ""
	if failed || c.Tail {
		e.drain()
	} else {
		e.out.catchUp()
	}
	end := fn.closes(c, a.called, ended.Sub(began))
	e.lines.end(failed, end...)
	if failed || c.Tail {
		a.called.Tail = tailOf(fn.opens(c), e.out.since(int(e.before.Load())), end)
	}
	fn.account.end(ended, c.Real) // first: a version whose instances are all back may be gone
	fn.giveBack(e)
	return a
}

// giveBack lets the next call have an environment, or has it ended.
func (fn *function) giveBack(e *environment) {
	e.atWork.Store(false)
	fn.pool.Return(e, e.api.Gone() != nil)
}

// notLent is a call for which there was no environment.
func (fn *function) notLent(err error) answered {
	var s *startError
	switch {
	case errors.Is(err, pool.ErrThrottled):
		return refusedBy(invocation.Throttled, "TooManyRequestsException", fmt.Sprintf("All %d instances that the function may have are at work.", fn.most()))
	case errors.Is(err, pool.ErrClosed), closed(fn.retired), closed(fn.cut):
		return fn.stopped()
	case errors.As(err, &s):
		a := failedBy(s.failure, invocation.Called{Cold: true})
		if a.called.Failure != invocation.Memory {
			a.called.Failure = invocation.Init
		}
		_, a.called.Tail, _ = strings.Cut(s.text, "\n")
		return a
	default:
		return refusedBy(invocation.Canceled, "Sandbox.Canceled", "The caller went away: "+err.Error())
	}
}

// stopped is a call of a version that is not wanted any more.
func (fn *function) stopped() answered {
	return refusedBy(invocation.Stopped, "ResourceNotFoundException", "The version "+fn.id+" takes no calls any more.")
}

// failureOf is a class of the Runtime API in the words of callers.
func failureOf(c runtimeapi.Class) invocation.Failure {
	switch c {
	case runtimeapi.Unhandled:
		return invocation.Unhandled
	case runtimeapi.Timeout:
		return invocation.Timeout
	case runtimeapi.Memory:
		return invocation.Memory
	case runtimeapi.Init:
		return invocation.Init
	case runtimeapi.TooLarge:
		return invocation.TooLarge
	case runtimeapi.Exit:
	}
	return invocation.Exit
}

// failedBy is a call that failed of an error.
func failedBy(err error, called invocation.Called) answered {
	var f *runtimeapi.InvocationError
	if !errors.As(err, &f) {
		f = runtimeapi.Ended(err.Error())
	}
	called.Failure, called.Type, called.Message = failureOf(f.Class), f.Type, f.Message
	return answered{payload: f.Payload, called: called}
}

// refusedBy is a call that failed of something that no process has said.
func refusedBy(failure invocation.Failure, kind, message string) answered {
	payload, err := json.Marshal(map[string]string{"errorType": kind, "errorMessage": message})
	if err != nil {
		payload = []byte(`{}`) // strings cannot fail
	}
	return answered{payload: payload, called: invocation.Called{Failure: failure, Type: kind, Message: message}}
}

// opens is the line that Lambda's log of an invocation begins with.
func (fn *function) opens(c invocation.Call) string {
	return "START RequestId: " + c.ID + " Version: " + fn.wish.Load().identity.Version
}

// closes are those that it ends with.
func (fn *function) closes(c invocation.Call, called invocation.Called, took time.Duration) (end []string) {
	millis := float64(took) / float64(time.Millisecond)
	report := fmt.Sprintf("REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %.0f ms\tMemory Size: %d MB", c.ID, millis, math.Ceil(millis), fn.wish.Load().identity.Memory)
	if called.Failure != "" {
		end = append(end, fmt.Sprintf("RequestId: %s Error: %s: %s", c.ID, called.Type, called.Message))
		report += "\tStatus: " + string(called.Failure)
	}
	return append(end, "END RequestId: "+c.ID, report)
}

// tailOf is the end of an invocation's log, as who calls may have it.
func tailOf(start string, said, end []string) string {
	text := strings.Join(slices.Concat([]string{start}, said, end), "\n") + "\n"
	return strings.ToValidUTF8(text[max(0, len(text)-tailBytes):], "")
}

// lastOf returns the last n lines of a text.
func lastOf(text string, n int) []string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	return lines[max(0, len(lines)-n):]
}

// streamed is the body of an answer that is still being made. done is called once, when
// it is over.
type streamed struct {
	io.ReadCloser
	done func(error)
	once sync.Once
}

func (s *streamed) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		s.once.Do(func() { s.done(nil) })
	case err != nil:
		s.once.Do(func() { s.done(err) })
	}
	return n, err
}

func (s *streamed) Close() error {
	err := s.ReadCloser.Close()
	s.once.Do(func() { s.done(nil) })
	return err
}
