package events

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"titrate/internal/queue"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// hands is a clock that a test moves.
type hands struct {
	mu     sync.Mutex
	now    time.Time
	alarms map[chan time.Time]time.Time
	set    chan struct{} // closed when an alarm is set
}

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func newHands() *hands {
	return &hands{now: noon, alarms: map[chan time.Time]time.Time{}, set: make(chan struct{})}
}

func (h *hands) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *hands) clock() queue.Clock {
	return queue.Clock{Now: h.Now, At: func(t time.Time) (<-chan time.Time, func()) {
		h.mu.Lock()
		defer h.mu.Unlock()
		c := make(chan time.Time, 1)
		if t.After(h.now) {
			h.alarms[c] = t
		} else {
			c <- h.now
		}
		close(h.set)
		h.set = make(chan struct{})
		return c, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			delete(h.alarms, c)
		}
	}}
}

func (h *hands) move(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
	for c, at := range h.alarms {
		if !at.After(h.now) {
			c <- h.now
			delete(h.alarms, c)
		}
	}
}

// armed returns when an alarm is set for at.
func (h *hands) armed(tb testing.TB, at time.Time) {
	tb.Helper()
	for {
		h.mu.Lock()
		set := h.set
		for _, a := range h.alarms {
			if a.Equal(at) {
				h.mu.Unlock()
				return
			}
		}
		h.mu.Unlock()
		select {
		case <-set:
		case <-tb.Context().Done():
			tb.Fatal("no alarm was set")
		}
	}
}

// made is a call of the fake deliverer, which waits for its answer.
type made struct {
	key rollout.Key
	Event
	at     time.Time
	answer chan<- answered
}

type answered struct {
	Delivered
	err error
}

func (m made) say(d Delivered)  { m.answer <- answered{Delivered: d} }
func (m made) refuse(err error) { m.answer <- answered{err: err} }
func (m made) records() []struct{ MessageID, Body string } {
	var e struct {
		Records []struct{ MessageID, Body string }
	}
	if err := json.Unmarshal(m.Payload, &e); err != nil {
		panic(err)
	}
	return e.Records
}

func (m made) bodies() string {
	s := ""
	for _, r := range m.records() {
		s += r.Body
	}
	return s
}

// fakeDeliverer hands each call to the test.
type fakeDeliverer struct {
	hands *hands
	calls chan made
}

func (f *fakeDeliverer) deliver(ctx context.Context, key rollout.Key, e Event) (Delivered, error) {
	c := make(chan answered, 1)
	select {
	case f.calls <- made{key: key, Event: e, at: f.hands.Now(), answer: c}:
	case <-ctx.Done():
		return Delivered{}, ctx.Err()
	}
	select {
	case a := <-c:
		return a.Delivered, a.err
	case <-ctx.Done():
		return Delivered{}, ctx.Err()
	}
}

// bench is events on a real database, with a clock that a test moves and a fake deliverer.
type bench struct {
	*Events
	*fakeDeliverer
	t    testing.TB
	dir  string
	stop func()
}

func open(tb testing.TB, dir string, h *hands) *bench {
	tb.Helper()
	f := &fakeDeliverer{hands: h, calls: make(chan made)}
	e, err := Open(tb.Context(), Config{Dir: dir, Key: []byte("0123456789abcdef"), Clock: h.clock(), Log: slog.New(slog.DiscardHandler), Deliver: f.deliver})
	if err != nil {
		tb.Fatal(err)
	}
	b := &bench{Events: e, fakeDeliverer: f, t: tb, dir: dir, stop: func() {}}
	tb.Cleanup(func() {
		b.stop()
		if err := e.Close(); err != nil {
			tb.Error(err)
		}
	})
	return b
}

func newBench(tb testing.TB) *bench {
	tb.Helper()
	return open(tb, tb.TempDir(), newHands())
}

// run delivers until stop, which returns when all that was answered is stored.
func (b *bench) run() {
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			b.t.Error(err)
		}
	})
}

// next returns the next call.
func (b *bench) next() made {
	b.t.Helper()
	select {
	case m := <-b.calls:
		return m
	case <-b.t.Context().Done():
		b.t.Fatal("the fake deliverer was not called")
		return made{}
	}
}

// pass waits until somebody waits for a time that is d from now, and moves the clock there.
func (b *bench) pass(d time.Duration) {
	b.t.Helper()
	b.hands.armed(b.t, b.hands.Now().Add(d))
	b.hands.move(d)
}

// aside moves the clock a little, so that no time of the messages is one at which the
// timers are looked at.
func (b *bench) aside() {
	b.t.Helper()
	b.hands.armed(b.t, b.hands.Now().Add(lookAgain))
	b.hands.move(7 * time.Second)
}

const (
	app = "collect"
	env = "production"
)

func key(workload string) rollout.Key { return rollout.Key{App: app, Env: env, Workload: workload} }

// function is a workload whose stable version is v1.
func function(name string, triggers rollout.Triggers) world.Workload {
	return world.Workload{
		Key: key(name), Stable: 1, Triggers: &triggers,
		Fleets: []world.Fleet{{Version: 1, Function: &rollout.Function{Timeout: 10 * time.Second}, Scale: rollout.Scale{Max: 5}}},
	}
}

func onQueue(name string, batch int) rollout.Triggers {
	return rollout.Triggers{Queues: []rollout.QueueTrigger{{Queue: rollout.Queue{Name: name}, Batch: batch, Most: 1}}}
}

func (b *bench) apply(workloads ...world.Workload) {
	b.t.Helper()
	if err := b.Apply(world.Wanted{Workloads: workloads}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) send(to string, bodies ...string) {
	b.t.Helper()
	messages := make([]Message, len(bodies))
	for i, body := range bodies {
		messages[i].Body = []byte(body)
	}
	sent, err := b.SendBatch(b.t.Context(), app, env, to, messages)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, s := range sent {
		if s.Err != nil {
			b.t.Fatal(s.Err)
		}
	}
}

// left is how many messages a queue has, in any state.
func (b *bench) left(of string) int64 {
	b.t.Helper()
	all, err := b.Queues(b.t.Context(), app, env)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, q := range all {
		if q.Name == of {
			return q.Visible + q.InFlight + q.Delayed
		}
	}
	b.t.Fatalf("there is no queue %s", of)
	return 0
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

var (
	byStable    = Delivered{Version: 1, Stable: true, Answer: []byte("null")}
	byCandidate = Delivered{Version: 2, Answer: []byte("null")}
)
