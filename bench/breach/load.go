package main

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"titrate/bench/figures"
)

// traffic sends requests at a steady rate, whether or not earlier ones have been
// answered.
type traffic struct {
	cancel     context.CancelFunc
	all        sync.WaitGroup
	client     *http.Client
	url        string
	sent, lost atomic.Int64
}

func startLoad(ctx context.Context, url string, rate float64) *traffic {
	ctx, cancel := context.WithCancel(ctx)
	t := &traffic{cancel: cancel, url: url, client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
	figures.Steady(ctx, &t.all, rate, t.send)
	return t
}

// send sends one request; it is waited for also when the load ends.
func (t *traffic) send() {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, t.url, nil)
	if err != nil {
		t.lost.Add(1)
		return
	}
	req.Host = host
	t.sent.Add(1)
	res, err := t.client.Do(req)
	if err != nil {
		t.lost.Add(1)
		return
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.lost.Add(1)
	}
}

func (t *traffic) stop() (sent, lost int64) {
	t.cancel()
	t.all.Wait()
	t.client.CloseIdleConnections()
	return t.sent.Load(), t.lost.Load()
}
