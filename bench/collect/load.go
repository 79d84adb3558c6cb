package main

import (
	"context"
	"net/http"
	"sync"
	"time"

	"titrate/examples/collect/load"
)

// traffic is the customers' load under way. It notes when each request began: only what
// was under way when a node died may be lost with it.
type traffic struct {
	http.RoundTripper

	cancel context.CancelFunc
	done   chan struct{}
	report *load.Report
	err    error
	starts sync.Map // time.Time by request id
}

func startLoad(ctx context.Context, url string, rate float64, seed uint64) *traffic {
	ctx, cancel := context.WithCancel(ctx)
	t := &traffic{cancel: cancel, done: make(chan struct{}), RoundTripper: &http.Transport{
		MaxIdleConnsPerHost: 256, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
	}}
	go func() {
		defer close(t.done)
		t.report, t.err = load.Run(ctx, load.Config{URL: url, Host: host, Rate: rate, Seed: seed, Transport: t})
	}()
	return t
}

// RoundTrip implements http.RoundTripper.
func (t *traffic) RoundTrip(r *http.Request) (*http.Response, error) {
	t.starts.Store(r.Header.Get("X-Request-Id"), time.Now())
	return t.RoundTripper.RoundTrip(r)
}

// began is when the request of an id was sent.
func (t *traffic) began(id string) time.Time {
	at, _ := t.starts.Load(id)
	began, _ := at.(time.Time)
	return began
}

// stop ends the load and waits for the answers that are still out.
func (t *traffic) stop() (*load.Report, error) {
	t.cancel()
	<-t.done
	return t.report, t.err
}
