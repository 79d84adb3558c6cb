package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// run is one run under way.
type run struct {
	Config
	client  *http.Client
	tally   *tally
	name    string // first part of all request ids
	seq     atomic.Uint64
	slots   chan struct{}
	all     sync.WaitGroup
	waiting sessions
}

// sessions are the customers who think about their next step.
type sessions struct {
	mu  sync.Mutex
	all []*session
}

func (s *sessions) put(x *session) { s.mu.Lock(); s.all = append(s.all, x); s.mu.Unlock() }

// take returns the customer who has thought longest, or nil when fewer than
// least are thinking.
func (s *sessions) take(least int) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) < least {
		return nil
	}
	x := s.all[0]
	s.all = s.all[1:]
	return x
}

// answer is what came back.
type answer struct {
	status   int
	version  string
	latency  time.Duration
	redialed bool
	body     []byte
	err      error
	order    struct{ ID, State string }
}

// Run plays until Duration is over or ctx ends, waits for the answers that are
// still out, and reports. Requests arrive as a Poisson process, whether or not
// earlier ones have been answered, and a latency begins when its request was
// due: a service that stalls is measured as its customers feel it.
func Run(ctx context.Context, c Config) (*Report, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.defaults()
	c.URL = strings.TrimRight(c.URL, "/")
	if c.Transport == nil {
		own := &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
			MaxIdleConnsPerHost: c.Concurrency, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
		}
		defer own.CloseIdleConnections()
		c.Transport = own
	}
	start := time.Now()
	r := &run{
		Config: c, tally: newTally(start), slots: make(chan struct{}, c.Concurrency), name: fmt.Sprintf("load-%x-", start.UnixMilli()),
		client: &http.Client{Transport: c.Transport, Timeout: c.Timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	ticked := make(chan struct{})
	over := make(chan struct{})
	go func() { defer close(ticked); r.tick(start, over) }()
	r.arrivals(ctx, start)
	r.all.Wait()
	close(over)
	<-ticked
	return r.tally.end(time.Now()), nil
}

// arrivals starts a request whenever one is due.
func (r *run) arrivals(ctx context.Context, start time.Time) {
	random := rand.New(rand.NewPCG(r.Seed, 0xc0fe))
	// So many customers think at any time that each does for about a quarter of
	// a second: a journey is over in two.
	thinking := max(1, int(r.Rate/4))
	timer := time.NewTimer(0)
	defer timer.Stop()
	for due := start; ; {
		due = due.Add(time.Duration(random.ExpFloat64() / r.Rate * float64(time.Second)))
		if r.Duration > 0 && due.Sub(start) > r.Duration {
			return // whatever was due before is sent, however late
		}
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		s := r.waiting.take(thinking)
		if s == nil {
			s = newSession(random)
			r.tally.journey()
		}
		select {
		case r.slots <- struct{}{}:
		default:
			r.tally.late()
			select {
			case r.slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
		r.all.Go(func() {
			defer func() { <-r.slots }()
			// What has been sent is waited for, also when the run is over.
			r.step(context.WithoutCancel(ctx), s, due)
		})
	}
}

// step does a session's next step.
func (r *run) step(ctx context.Context, s *session, due time.Time) {
	st := s.steps[0]
	var twin sync.WaitGroup
	if st.twice {
		twin.Go(func() { r.request(ctx, s, st, due) })
	}
	a, failed := r.request(ctx, s, st, due)
	twin.Wait()
	if s.answered(st, a, failed) {
		r.waiting.put(s)
	}
}

// request sends one request, counts its answer, and notes an accepted order.
func (r *run) request(ctx context.Context, s *session, st step, due time.Time) (answer, bool) {
	id := fmt.Sprintf("%s%d", r.name, r.seq.Add(1))
	r.tally.send()
	a := r.send(ctx, s, st, id)
	a.latency = time.Since(due)
	var failure *Failure
	if a.err != nil || !st.expected(a.status) {
		failure = &Failure{ID: id, At: time.Now(), Step: st.name, Status: a.status, Version: a.version, Body: string(a.body[:min(len(a.body), 200)])}
		if a.err != nil {
			failure.Err = a.err.Error()
		}
	}
	if failure == nil && (st.key != "" || strings.HasPrefix(st.path, "/order/")) {
		if err := json.Unmarshal(a.body, &a.order); err != nil {
			failure = &Failure{ID: id, At: time.Now(), Step: st.name, Status: a.status, Version: a.version, Err: err.Error()}
		}
	}
	if failure == nil && st.key != "" && a.order.ID != "" {
		r.tally.accepted(st.key, a.order.ID)
	}
	r.tally.done(a, st.name, failure)
	return a, failure != nil
}

func (r *run) send(ctx context.Context, s *session, st step, id string) (a answer) {
	connections := 0
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connections++ }})
	var body io.Reader
	if st.body != nil {
		text, err := json.Marshal(st.body)
		if err != nil {
			return answer{err: err}
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, st.method, r.URL+st.path, body)
	if err != nil {
		return answer{err: err}
	}
	if r.Host != "" {
		req.Host = r.Host
	}
	req.Header.Set("X-Request-Id", id)
	req.Header.Set("Cookie", "customer="+s.customer+"; cart="+s.cart)
	req.Header.Set("Accept", "application/json")
	if st.html {
		req.Header.Set("Accept", "text/html")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if st.key != "" {
		req.Header.Set("Idempotency-Key", st.key)
	}
	resp, err := r.client.Do(req)
	a.redialed = connections > 1
	if err != nil {
		a.err = err
		return a
	}
	defer resp.Body.Close()
	a.status, a.version = resp.StatusCode, resp.Header.Get("Titrate-Version")
	if a.body, a.err = io.ReadAll(resp.Body); a.err != nil {
		a.status = 0 // half an answer is none
	}
	return a
}

// tick closes every second until over.
func (r *run) tick(start time.Time, over <-chan struct{}) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for second := 1; ; second++ {
		select {
		case <-over:
			return
		case <-ticker.C:
		}
		stats := r.tally.tick(second, start.Add(time.Duration(second)*time.Second))
		if r.OnSecond != nil {
			r.OnSecond(stats)
		}
	}
}
