package orders

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"titrate/examples/cofe/internal/httpx"
	"titrate/examples/cofe/internal/service"
)

// A saga goes forward through the steps; when one is refused, or does not
// answer for too long, it goes back through those that may have happened. Its
// place is stored after every step, by the process that holds its lease; when
// that one dies, another goes on from there. A step asked twice has one effect,
// since its service keeps the order's id and the key.
const (
	forward = "forward"
	back    = "back"
	over    = "over"
)

const (
	lease    = 4 * time.Second         // how long a process holds a saga without a sign of life
	stepTime = 2500 * time.Millisecond // for one call, less than a lease
	patience = 30 * time.Second        // how long a step may fail to answer before the order is rejected
	look     = 300 * time.Millisecond  // how often sagas that nobody holds are looked for
	atOnce   = 64                      // sagas in progress in this process
)

// place is where a saga is.
type place struct {
	order     Order
	holder    string // this hold on it
	direction string
	step      int    // forward: the next to do; back: the next to undo
	reason    string // why it goes back
	tries     int    // of this step, without an answer
	request   string // id of the request that began it
}

// saga moves the sagas of this process.
type saga struct {
	*service.Service
	steps []step
	urls  map[string]string
	slots chan struct{}
	all   sync.WaitGroup

	mu       sync.Mutex
	stopping bool
	changed  chan struct{} // closed, and made anew, when a saga is over
}

func newSaga(s *service.Service) (*saga, error) {
	urls, err := addresses(s.Config)
	if err != nil {
		return nil, err
	}
	return &saga{Service: s, steps: steps(), urls: urls, slots: make(chan struct{}, atOnce), changed: make(chan struct{})}, nil
}

// Start moves a saga that has just been stored and is held by this process.
// When there is no slot, or the process is about to end, its lease runs out.
func (s *saga) Start(ctx context.Context, o Order) {
	s.start(context.WithoutCancel(ctx), place{order: o, holder: s.holder(o.ID), direction: forward, request: httpx.ID(ctx)})
}

func (s *saga) start(ctx context.Context, p place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return
	}
	s.all.Go(func() {
		s.slots <- struct{}{}
		defer func() { <-s.slots }()
		s.move(ctx, p)
	})
}

// Run looks for sagas that nobody holds until ctx ends, then waits for those in
// progress to finish the step they are at, and gives them away.
func (s *saga) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		found, err := s.claim(ctx, atOnce-len(s.slots))
		if err != nil && ctx.Err() == nil {
			s.Log.LogAttrs(ctx, slog.LevelWarn, "sagas wait", slog.String("error", err.Error()))
		}
		for _, p := range found {
			s.start(httpx.WithID(context.WithoutCancel(ctx), p.request), p)
		}
		select {
		case <-ctx.Done():
		case <-time.After(look):
		}
	}
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	s.all.Wait()
	return s.giveAway(context.WithoutCancel(ctx))
}

// move takes a saga as far as it goes now.
func (s *saga) move(ctx context.Context, p place) {
	for p.direction != over && !s.ending() {
		next, wait := s.one(ctx, p)
		kept, err := s.store(ctx, next, wait)
		if err != nil {
			s.Log.LogAttrs(ctx, slog.LevelWarn, "saga waits", slog.String("order", p.order.ID), slog.String("error", err.Error()))
		}
		if err != nil || !kept || wait > 0 {
			return // another process has it, or will
		}
		p = next
	}
}

// one does, or undoes, the next step, and returns the place after it; wait is
// how long to leave it alone.
func (s *saga) one(ctx context.Context, p place) (next place, wait time.Duration) {
	p.step = s.skip(p)
	switch {
	case p.direction == forward && p.step == len(s.steps):
		return s.end(p, Confirmed), 0
	case p.direction == back && p.step < 0:
		return s.end(p, Rejected), 0
	}
	step := s.steps[p.step]
	err := s.call(ctx, p, step)
	refusal, refused := httpx.Refused(err)
	switch {
	case err == nil && p.direction == forward:
		p.step, p.tries = p.step+1, 0
	case err == nil:
		p.step, p.tries = p.step-1, 0
	case p.direction == forward && refused:
		// Refused means: no effect. What came before is undone.
		p.direction, p.reason, p.step, p.tries = back, refusal.Sentence, p.step-1, 0
	case p.direction == forward && time.Since(time.UnixMilli(p.order.At)) > patience:
		// Not answered means: perhaps an effect. This step is undone too.
		p.direction, p.reason, p.tries = back, step.service+" did not answer", 0
	default:
		p.tries++
		wait = min(time.Duration(p.tries)*250*time.Millisecond, 5*time.Second)
		s.Log.LogAttrs(ctx, slog.LevelWarn, "step will be tried again", slog.String("request_id", p.request), slog.String("order", p.order.ID),
			slog.String("step", step.name), slog.String("direction", p.direction), slog.String("error", err.Error()))
	}
	p.step = s.skip(p)
	if p.direction == forward && p.step == len(s.steps) {
		return s.end(p, Confirmed), 0
	}
	if p.direction == back && p.step < 0 {
		return s.end(p, Rejected), 0
	}
	return p, wait
}

// skip passes the steps that the order does not need.
func (s *saga) skip(p place) int {
	i, way := p.step, 1
	if p.direction == back {
		way = -1
	}
	for i >= 0 && i < len(s.steps) && !s.steps[i].applies(p.order) {
		i += way
	}
	return i
}

func (s *saga) end(p place, state State) place {
	p.direction, p.order.State = over, state
	if state == Rejected {
		p.order.Reason = p.reason
	}
	return p
}

// call asks the step's service. The key is of the order and the step, so that
// asking again, also by another process, is the same request.
func (s *saga) call(ctx context.Context, p place, step step) error {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	call := httpx.Call{Method: http.MethodPost, URL: s.urls[step.service] + step.path, Key: p.order.ID + ":" + step.service}
	if p.direction == forward {
		call.Send = step.ask(p.order)
	} else {
		call.URL += "/" + p.order.ID + "/undo"
		call.Key += ":undo"
	}
	err := s.Client.Do(ctx, call)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.Join(errors.New("no answer in time"), err)
	}
	return err
}

func (s *saga) ending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

// news returns a channel that is closed when the next saga here is over.
func (s *saga) news() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *saga) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}
