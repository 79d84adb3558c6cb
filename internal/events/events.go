// Package events is the node's store and delivery of events for functions: queues,
// topics, timers and asynchronous invocations. What was accepted is on disk before it is
// acknowledged, and is delivered at least once, whatever is killed when; the server need
// not be alive for it. An event that a candidate fails is delivered again to stable (R25).
//
// Which version an event goes to is drawn by whoever delivers it ([Config.Deliver]).
package events

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"titrate/internal/invocation"
	"titrate/internal/queue"
	"titrate/internal/rollout"
)

// Config is what the store and delivery of events need.
type Config struct {
	Dir   string       // a database for each app and environment is made below it
	Key   []byte       // secret: what processes send events with is derived from it
	Clock queue.Clock  // zero: the machine's
	Log   *slog.Logger // nil: nothing is logged
	NewID func() string
	// Deliver calls a function with an event, and returns when the call is over. An
	// error, like a failure that is not [invocation.Failure.Reached], says that the
	// function was not reached: the event is delivered later, and it does not count.
	Deliver func(ctx context.Context, function rollout.Key, e Event) (Delivered, error)
}

// Event is one call of a function.
type Event struct {
	ID      string // of the request; that of an asynchronous invocation is the same in each try
	Payload []byte // JSON
	// Stable asks for the stable version, because another one failed the event (R25): the
	// call counts in no window.
	Stable  bool
	Version rollout.Version // asks for this one; 0: it is drawn
	Source  string          // for people: "queue orders", "timer cron(0 2 * * ? *)"
	// Bad reports whether an answer fails all of a batch, so that it counts as a failure of
	// the version; nil: no answer does.
	Bad func(answer []byte) bool
}

// Delivered is how a call went.
type Delivered struct {
	Version rollout.Version // that was called
	Stable  bool            // it is the stable one
	Answer  []byte
	Failure invocation.Failure // empty: it answered
	Failed  bool               // the call counts as failed, also without a Failure
	Message string             // one sentence for people
}

// Events is the store and delivery. Its methods may be called from any goroutine.
type Events struct {
	cfg   Config
	clock queue.Clock
	log   *slog.Logger

	applying sync.Mutex // one Apply at a time

	mu      sync.Mutex
	closed  bool
	places  map[name]*place
	keys    map[string]name // access key → whose it is
	tokens  map[[32]byte]name
	changed chan struct{} // closed when what should run has changed
}

// name is an environment of an app: what queues and topics belong to.
type name struct{ app, env string }

func (n name) String() string { return n.app + "/" + n.env }

// Open opens the store. Nothing is delivered before the first [Events.Apply] and
// without [Events.Run].
func Open(_ context.Context, cfg Config) (*Events, error) {
	if cfg.Dir == "" || cfg.Deliver == nil || len(cfg.Key) < 16 {
		return nil, errors.New("events need a folder, a key of 16 bytes or more, and somebody who delivers")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.NewID == nil {
		cfg.NewID = newID
	}
	return &Events{
		cfg: cfg, clock: orMachine(cfg.Clock), log: cfg.Log, places: map[name]*place{}, keys: map[string]name{}, tokens: map[[32]byte]name{},
		changed: make(chan struct{}),
	}, nil
}

// Close lets go of the databases. [Events.Run] has to have returned.
func (e *Events) Close() error {
	e.mu.Lock()
	places := e.places
	e.places, e.closed = map[name]*place{}, true
	e.mu.Unlock()
	var err error
	for _, p := range places {
		err = errors.Join(err, p.store.Close())
	}
	return err
}

// newID makes a random UUID (RFC 9562, version 4).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it does not fail
	return uuid(b)
}

// uuid spells 16 bytes as a UUID of version 4.
func uuid(b [16]byte) string {
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func orMachine(c queue.Clock) queue.Clock {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.At == nil {
		now := c.Now
		c.At = func(t time.Time) (<-chan time.Time, func()) {
			timer := time.NewTimer(t.Sub(now()))
			return timer.C, func() { timer.Stop() }
		}
	}
	return c
}

// wait returns nil at t or later, or earlier with what ended ctx.
func (e *Events) wait(ctx context.Context, t time.Time) error {
	due, stop := e.clock.At(t)
	defer stop()
	select {
	case <-due:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
