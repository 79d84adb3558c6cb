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
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// run is one run under way.
type run struct {
	Config
	client *http.Client
	tally  *tally
	street *street
	name   string // first part of all keys and request ids
	seq    atomic.Uint64
	slots  chan struct{}
	all    sync.WaitGroup
}

// answer is what came back.
type answer struct {
	status  int
	version string
	latency time.Duration
	body    []byte
	err     error
}

// Run plays until Duration is over or ctx ends, waits for the answers that are still
// out, and reports. Requests arrive as a Poisson process, whether or not earlier ones
// have been answered, and a latency begins when its request was due.
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
		Config: c, client: &http.Client{Transport: c.Transport, Timeout: c.Timeout}, tally: newTally(start), street: &street{},
		name: fmt.Sprintf("load-%x", start.UnixMicro()), slots: make(chan struct{}, c.Concurrency),
	}
	r.arrivals(ctx, start)
	r.all.Wait()
	return r.tally.end(time.Now()), nil
}

// arrivals starts a request whenever one is due.
func (r *run) arrivals(ctx context.Context, start time.Time) {
	random := rand.New(rand.NewPCG(r.Seed, 0xc011ec7))
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
		st := r.street.next(random, r.name)
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
			r.step(context.WithoutCancel(ctx), st, due)
		})
	}
}

// step does a request, at the same time once more where it is sent twice.
func (r *run) step(ctx context.Context, st step, due time.Time) {
	var twin sync.WaitGroup
	if st.twice {
		second := st
		second.again = true
		twin.Go(func() { r.request(ctx, second, due) })
	}
	if !r.request(ctx, st, due) && st.method == http.MethodPost {
		r.street.repeat(st)
	}
	twin.Wait()
}

// request sends one request, counts its answer, and notes an accepted pickup.
func (r *run) request(ctx context.Context, st step, due time.Time) bool {
	id := fmt.Sprintf("%s-r%d", r.name, r.seq.Add(1))
	r.tally.send(st.key, st.again)
	a := r.send(ctx, st, id)
	a.latency = time.Since(due)
	var failure *Failure
	var pickup struct{ ID string }
	if a.err == nil && a.status == st.expects && st.key != "" {
		a.err = json.Unmarshal(a.body, &pickup)
	}
	if a.err != nil || a.status != st.expects {
		failure = &Failure{ID: id, At: time.Now(), Step: st.name, Status: a.status, Version: a.version, Body: string(a.body[:min(len(a.body), 200)])}
		if a.err != nil {
			failure.Err = a.err.Error()
		}
	}
	r.tally.done(st.name, a, failure)
	if failure == nil && pickup.ID != "" {
		r.tally.accepted(st.key, pickup.ID)
		r.street.has(pickup.ID)
	}
	return failure == nil
}

func (r *run) send(ctx context.Context, st step, id string) (a answer) {
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
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if st.key != "" {
		req.Header.Set("Idempotency-Key", st.key)
	}
	resp, err := r.client.Do(req)
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
