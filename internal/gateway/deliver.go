package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"titrate/internal/invocation"
	"titrate/internal/rollout"
)

// Event is something that a function is called with, other than a request.
type Event struct {
	Payload []byte          // JSON
	ID      string          // unique, as the function sees and logs it; empty: a new one
	Version rollout.Version // the one that is meant, uncounted; 0: drawn by weight
	// Stable is for what another version failed (R25): it goes to the stable one,
	// uncounted.
	Stable bool
	// Bad reports whether an answer is a failure all the same, as one that names failed
	// messages of a batch may be; nil: none is.
	Bad           func(answer []byte) bool
	ClientContext string // as in [invocation.Call]
	Tail          bool   // as in [invocation.Call]
	// To is as in [invocation.Call], and is told which version answers. Bad has nothing to
	// judge by then.
	To func(rollout.Version) io.Writer
}

// Delivered is what came of an event.
type Delivered struct {
	Version rollout.Version // that was called
	Stable  bool            // it is the stable one
	Answer  []byte          // what it answered, or its error where it failed
	// Failed says that the version is to blame: [invocation.Failure.Reached], or
	// Event.Bad said so. An event that was throttled is none of this: see Failure.
	Failed bool
	invocation.Called
}

// The reasons for which an event reached no function. It has not been handled, and may
// be delivered again.
var (
	ErrNoWorkload  = errors.New("no such workload is in the routing table")
	ErrNoVersion   = errors.New("no such version of the workload is kept")
	ErrNotReady    = errors.New("no instance is ready")
	ErrNotFunction = errors.New("it is a service, which cannot be called with an event")
	ErrFull        = errors.New("too many requests are under way")
	// ErrCut is an event that outlived the drain of its version (R17): it may have been
	// handled, and nobody knows.
	ErrCut = errors.New("the version that had the event has drained")
)

// Deliver calls a function with an event and waits for its answer. A version is drawn
// for it as for a request: by the same split, failing over when nothing of the version
// is ready, drawn anew when the version has just stopped; while it is under way it is
// open on that version, so that a drain waits for it and cuts what outlives it.
//
// A drawn event is counted once in the windows of the version that was called: among
// Requests and in Latency, as failed where Delivered.Failed is set, as aborted when ctx
// ended first. One that was throttled is counted among Throttles only, and one that
// reached nothing nowhere: both come again. Events with Version or Stable are not counted.
//
// An error wraps one of the Err… of this package or the cause of ctx, and names the
// workload. A function that fails is no error.
func (g *Gateway) Deliver(ctx context.Context, k rollout.Key, e Event) (Delivered, error) {
	if e.ID == "" {
		e.ID = newRequestID()
	}
	d, err := g.deliver(ctx, k, e)
	if err != nil {
		return d, fmt.Errorf("deliver event %s to %s: %w", e.ID, k, err)
	}
	return d, nil
}

func (g *Gateway) deliver(ctx context.Context, k rollout.Key, e Event) (Delivered, error) {
	if g.inFlight.Add(1) > int64(g.cfg.MaxInFlight) {
		g.inFlight.Add(-1)
		return Delivered{}, ErrFull
	}
	if g.stopping.Load() { // else events that keep coming would keep Serve from its end
		g.inFlight.Add(-1)
		return Delivered{}, fmt.Errorf("%w: the gateway stops", ErrNotReady)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	find := func(s *snapshot) (way, *refusal) { return s.called(k, e) }
	t, ref := g.claim(find)
	if ref != nil {
		g.inFlight.Add(-1)
		return Delivered{}, errorOf(ref)
	}
	defer func() { t.finish() }()
	for {
		t.begin(cancel)
		c, ok := t.instance.upstream.(callee)
		if !ok {
			t.unclaim()
			return Delivered{}, ErrNotFunction
		}
		d, err := t.invoke(ctx, c, e)
		if err != nil || d.Failure != invocation.Stopped {
			return d, err
		}
		next, ref := t.redraw(find)
		switch {
		case ref != nil:
			if next != nil {
				next.fleet.totals.unready.Add(1)
			}
			return Delivered{}, errorOf(ref)
		case next == nil:
			return Delivered{}, ErrCut
		}
		t = next
	}
}

// called says whose event it is, and which version is meant; 0: one is drawn.
func (s *snapshot) called(k rollout.Key, e Event) (way, *refusal) {
	l := s.lanes[k]
	switch {
	case l == nil:
		return way{}, refuseRoute
	case !e.Stable:
		return way{lane: l, version: e.Version}, nil
	case l.stable == 0:
		return way{}, refuseVersion
	}
	return way{lane: l, version: l.stable}, nil
}

// claim draws by the newest table until an instance is found or the table stays.
func (g *Gateway) claim(find func(*snapshot) (way, *refusal)) (*ticket, *refusal) {
	for s := g.table.Load(); ; {
		var t *ticket
		w, ref := find(s)
		switch {
		case ref != nil:
		case w.version != 0:
			t, ref = g.preview(w, nil)
		default:
			t, ref = g.draw(w, nil)
		}
		now := g.table.Load()
		if ref == nil {
			return t, nil
		}
		if now == s {
			if t != nil {
				t.fleet.totals.unready.Add(1)
			}
			return nil, ref
		}
		s = now
	}
}

// unclaim takes back the draw of what cannot be called.
func (t *ticket) unclaim() {
	if t.preview {
		t.fleet.totals.previewed.Add(^uint64(0))
		return
	}
	t.split.undraw(t.share, t.shard)
}

// invoke calls the version and counts what came of it.
func (t *ticket) invoke(ctx context.Context, c callee, e Event) (Delivered, error) {
	call := invocation.Call{ID: e.ID, Real: !t.preview, ClientContext: e.ClientContext, Tail: e.Tail}
	var taken slowly
	if e.To != nil {
		call.To = func() io.Writer {
			taken.Writer = e.To(t.fleet.version)
			return &taken
		}
	}
	began := time.Now()
	answer, done := c.Invoke(ctx, e.Payload, call)
	o := outcome{called: called{done.Failure, done.Cold}, latency: time.Since(began) - taken.waited}
	d := Delivered{
		Version: t.fleet.version, Stable: t.fleet.version == t.lane.stable,
		Answer: answer, Called: done,
	}
	switch done.Failure {
	case invocation.Stopped:
		return d, nil
	case invocation.Throttled:
		if !t.preview {
			t.fleet.meter.throttle(t.shard)
		}
		return d, nil
	case invocation.Canceled:
		if t.ended.Load() {
			t.tally(o)
			return d, ErrCut
		}
		o.aborted = true
		t.tally(o)
		if ctx.Err() == nil {
			return d, context.Canceled
		}
		return d, context.Cause(ctx)
	case "":
		d.Failed = e.Bad != nil && e.Bad(answer)
	default:
		d.Failed = done.Failure.Reached()
	}
	o.failed = d.Failed
	t.tally(o)
	return d, nil
}

// slowly measures how long a caller takes for what he is answered, which is none of the
// version's latency.
type slowly struct {
	io.Writer
	waited time.Duration
}

func (s *slowly) Write(p []byte) (int, error) {
	began := time.Now()
	n, err := s.Writer.Write(p)
	s.waited += time.Since(began)
	return n, err
}

// errorOf is a refusal as whoever delivers events knows it.
func errorOf(r *refusal) error {
	switch r {
	case refuseRoute:
		return ErrNoWorkload
	case refuseVersion:
		return ErrNoVersion
	case refuseSplit:
		return fmt.Errorf("%w: %s", ErrNotReady, r.reason)
	default:
		return ErrNotReady
	}
}
