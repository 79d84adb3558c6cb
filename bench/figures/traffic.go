package figures

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Traffic is the customers' load under way, which ends with a report. It notes when each
// request began: only what was under way when a node died may be lost with it.
type Traffic[Report any] struct {
	http.RoundTripper

	cancel context.CancelFunc
	done   chan struct{}
	report Report
	err    error
	starts sync.Map // time.Time by request id
}

// StartTraffic calls run, which sends by the transport that it is given until its context
// ends.
func StartTraffic[Report any](ctx context.Context, run func(context.Context, http.RoundTripper) (Report, error)) *Traffic[Report] {
	ctx, cancel := context.WithCancel(ctx)
	t := &Traffic[Report]{cancel: cancel, done: make(chan struct{}), RoundTripper: &http.Transport{
		MaxIdleConnsPerHost: 512, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
	}}
	go func() {
		defer close(t.done)
		t.report, t.err = run(ctx, t)
	}()
	return t
}

// RoundTrip implements http.RoundTripper.
func (t *Traffic[Report]) RoundTrip(r *http.Request) (*http.Response, error) {
	t.starts.Store(r.Header.Get("X-Request-Id"), time.Now())
	return t.RoundTripper.RoundTrip(r)
}

// Began is when the request of an id was sent.
func (t *Traffic[Report]) Began(id string) time.Time {
	at, _ := t.starts.Load(id)
	began, _ := at.(time.Time)
	return began
}

// Stop ends the load and waits for the answers that are still out.
func (t *Traffic[Report]) Stop() (Report, error) {
	t.cancel()
	<-t.done
	return t.report, t.err
}
