package node

import (
	"context"
	"errors"
	"io"

	"titrate/internal/invocation"
	"titrate/internal/rollout"
)

// MaxPayload is how large an event or an answer may be: 6 MiB, as Lambda has it ("Lambda
// quotas", invocation payload).
const MaxPayload = 6 << 20

// Functions is the part of a [Machine] that calls functions.
type Functions interface {
	// Invoke gives a function an event and returns how that went. What the function
	// failed of stands in the answer; an error says that it was not called: one of
	// [ErrUnknown], [ErrNotFunction], [ErrNotReady], [ErrEvent] and [ErrNoFunctions].
	// One of kind Event returns when it is stored. It lasts until ctx ends.
	Invoke(ctx context.Context, i Invocation) (Invoked, error)
}

// Invocation is a call of a function that somebody asked for.
type Invocation struct {
	Key rollout.Key `json:"key"`
	// Version is the one that is called; 0: it is drawn by weight, unless Stable asks for
	// the stable one. Only what was drawn counts.
	Version       rollout.Version `json:"version,omitempty"`
	Stable        bool            `json:"stable,omitempty"`
	Kind          InvocationKind  `json:"kind"`
	Payload       []byte          `json:"payload"`                  // JSON
	ClientContext string          `json:"client_context,omitempty"` // JSON
	Tail          bool            `json:"tail,omitempty"`           // the last lines that it writes are wanted
	ID            string          `json:"id,omitempty"`             // of the request; empty: the node makes one
	// To, where it is not nil, is called once when an answer of kind Sync begins, with the
	// version that gives it. What is answered is written to what it returns, each piece as it
	// comes and the next one when that is taken, and is not in Invoked.Payload. A writer that
	// fails is a caller who went away.
	To func(rollout.Version) io.Writer `json:"-"`
}

// InvocationKind is how a function is called.
type InvocationKind string

// The kinds of calls, as Lambda's Invoke has them.
const (
	Sync   InvocationKind = "sync"    // the answer is waited for
	Event  InvocationKind = "event"   // it is stored, and called later until it went well
	DryRun InvocationKind = "dry-run" // it is looked whether it could be called, and it is not
)

// Invoked is how a call went.
type Invoked struct {
	ID      string             `json:"id,omitempty"`
	Version rollout.Version    `json:"version,omitempty"` // that was called; 0: none was, yet
	Status  int                `json:"status"`            // of Lambda's Invoke: 200, 202, 204, or 429 for a call that was throttled
	Payload []byte             `json:"payload,omitempty"` // what it answered; of a failure {"errorType", "errorMessage", …}
	Failure invocation.Failure `json:"failure,omitempty"`
	Type    string             `json:"type,omitempty"`
	Message string             `json:"message,omitempty"`
	Tail    string             `json:"tail,omitempty"`
	Cold    bool               `json:"cold,omitempty"`
}

// The errors of calls and queues, which callers tell apart by [errors.Is]. They come
// over the wire as what they are.
var (
	ErrUnknown     = rollout.ErrUnknown // no such workload, version that runs, or queue
	ErrNotFunction = errors.New("it is no function")
	ErrNotReady    = errors.New("nothing of it is ready")
	ErrEvent       = errors.New("the event cannot be taken") // not JSON, too large, or over a limit of queues
	ErrNoFunctions = errors.New("functions are not available on this node")
)

// errorNames is how the errors are written on the wire.
var errorNames = map[string]error{
	"unknown": ErrUnknown, "not-function": ErrNotFunction, "not-ready": ErrNotReady, "event": ErrEvent, "no-functions": ErrNoFunctions,
}

// sentError is an error that came over the wire: the sentence of the node, and what it is.
type sentError struct {
	text string
	is   error
}

func (e *sentError) Error() string { return e.text }
func (e *sentError) Unwrap() error { return e.is }

// nameOf is how err is written; empty when it is none that a caller can tell apart.
func nameOf(err error) string {
	for name, is := range errorNames {
		if errors.Is(err, is) {
			return name
		}
	}
	return ""
}
