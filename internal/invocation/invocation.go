// Package invocation has the words in which a version of a function is called: what
// the gateway asks of whoever runs it, and what it is told of how the call went. The
// two do not know each other.
package invocation

import (
	"context"
	"io"
	"net/http"
)

// Callee is a version of a function. Its methods may be called from any goroutine,
// also while it has no instance: a call starts one.
type Callee interface {
	// Serve answers a request. There always is a response, whose body must be closed;
	// one that the function did not make has a body of the form {"message": …} and the
	// status 429 with Retry-After (throttled), 504 (timeout) or 502 (any other failure).
	// What fails after the head has been sent is an error of the body.
	Serve(r *http.Request, c Call) (*http.Response, Called)
	// Begin is Serve without a wait: then is called once with the response, by any goroutine,
	// and before Begin returns where there is nothing to wait for. The request's body must be
	// there. Its context's end takes the request out of the queue for an instance, and is no
	// reason for an answer before that of an instance which has it.
	Begin(r *http.Request, c Call, then func(*http.Response, Called))
	// Invoke gives it an event, JSON, and returns what it answered; where it failed,
	// {"errorType", "errorMessage", …}.
	Invoke(ctx context.Context, event []byte, c Call) ([]byte, Called)
}

// Call is what is said of a call beside its event.
type Call struct {
	ID string // unique: the request's id, which the function sees and logs
	// Real says that it counts as an invocation of the version (R11): it was drawn by
	// weight, and is no probe, preview or redelivery.
	Real          bool
	ClientContext string // JSON of a mobile SDK; empty: none
	Tail          bool   // the last lines that it wrote are wanted
	// To, where it is not nil, is called once when an answer to Invoke begins. The answer is
	// written to what it returns, each piece as it comes and the next one when that is taken,
	// and is not returned. A writer that fails is a caller who went away.
	To func() io.Writer
}

// Called is how a call went.
type Called struct {
	Failure Failure // empty: it answered
	Type    string  // as AWS names it: Runtime.ExitError, Sandbox.Timeout, TypeError…
	Message string  // one sentence for people
	Cold    bool    // an instance was started for it
	Tail    string  // with Call.Tail: at most 4 KB
}

// Failure is what a call failed of: what alarms count apart.
type Failure string

// The failures.
const (
	Unhandled Failure = "unhandled" // the function said so: an exception, or an error that it returned
	Timeout   Failure = "timeout"   // it was not done in its time
	Memory    Failure = "memory"    // it was ended for using more memory than it may
	Exit      Failure = "exit"      // its process ended
	Init      Failure = "init"      // it never came to ask for work
	TooLarge  Failure = "too-large" // its response was larger than may be
	Malformed Failure = "malformed" // its response is no answer to a request
	Throttled Failure = "throttled" // all instances that it may have were at work: it was not reached
	Stopped   Failure = "stopped"   // the version takes no calls any more: it was not reached
	Canceled  Failure = "canceled"  // the caller went away; nobody's fault
)

// Reached reports whether the function, or an instance made for it, is to blame.
func (f Failure) Reached() bool {
	return f != "" && f != Throttled && f != Stopped && f != Canceled
}
