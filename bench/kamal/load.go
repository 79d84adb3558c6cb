package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"titrate/bench/figures"
)

// host is the app's name on the web.
const host = "shop.localhost"

// load asks for the front page at a steady rate, whether or not earlier requests have
// been answered.
type load struct {
	client *http.Client
	url    string
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu     sync.Mutex
	counts tally
	failed chan struct{} // closed by the first failure after take
}

// tally is what became of the requests of a while.
type tally struct {
	sent, bad, lost int           // bad: answered with 5xx; lost: not answered
	first, last     time.Time     // of the failures
	while           time.Duration // between the first failure and the last
}

// String tells how many failed, and for how long.
func (t tally) String() string {
	s := fmt.Sprintf("%d, of which %d failed with 5xx and %d had no answer", t.sent, t.bad, t.lost)
	if t.bad+t.lost > 0 {
		s += fmt.Sprintf(", over %v", t.while.Round(100*time.Millisecond))
	}
	return s
}

func begin(ctx context.Context, url string, rate float64) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{url: url, cancel: cancel, failed: make(chan struct{}), client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	figures.Steady(ctx, &l.all, rate, l.send)
	return l
}

// send sends one request; it is waited for also when the load ends.
func (l *load) send() {
	status, err := get(context.Background(), l.client, l.url)
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &l.counts
	c.sent++
	switch {
	case err != nil:
		c.lost++
	case status >= 500:
		c.bad++
	default:
		return
	}
	if c.first.IsZero() {
		c.first = now
		close(l.failed)
	}
	c.last = now
	c.while = c.last.Sub(c.first)
}

// take returns what was counted since the last time, and begins anew.
func (l *load) take() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.counts
	l.counts, l.failed = tally{}, make(chan struct{})
	return t
}

// stop ends the load when the last answer is there.
func (l *load) stop() {
	l.cancel()
	l.all.Wait()
	l.client.CloseIdleConnections()
}

// get asks for a page of the app.
func get(ctx context.Context, c *http.Client, url string) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	req.Host = host
	res, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// plus adds a later tally.
func (t tally) plus(o tally) tally {
	sum := tally{sent: t.sent + o.sent, bad: t.bad + o.bad, lost: t.lost + o.lost, first: t.first, last: o.last}
	if sum.first.IsZero() {
		sum.first = o.first
	}
	if sum.last.IsZero() {
		sum.last = t.last
	}
	if !sum.first.IsZero() {
		sum.while = sum.last.Sub(sum.first)
	}
	return sum
}
