package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"titrate/bench/figures"
	"titrate/internal/demo"
)

// load is clients that notice everything: nothing that they send is sent again.
type load struct {
	addr string
	end  context.CancelFunc
	done sync.WaitGroup
	want int // WebSockets and streams
	open atomic.Int64

	mu       sync.Mutex
	report   report
	failures []failure
	kills    []figures.Kill
}

// report is what came of it.
type report struct {
	requests, bodies        int
	failed, cut             []error
	longestNew, longestKept time.Duration
	flight, later, refused  int // of those that failed with a kill
}

// failure is a request that was not answered, or not rightly.
type failure struct {
	began, ended time.Time
	kept         bool // it was sent over a connection that had been there before
	err          error
}

// slowBodies is how many are under way at a time, each for bodyTime.
const (
	slowBodies = 20
	bodyTime   = 5 * time.Second
	echoEvery  = 5 * time.Second
)

func startLoad(ctx context.Context, addr string, p plan) *load {
	ctx, end := context.WithCancel(ctx)
	l := &load{addr: addr, end: end, want: p.sockets + p.feeds}
	kept := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 30 * time.Second}
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	for _, c := range []*http.Client{kept, fresh} {
		l.done.Go(func() { figures.Steady(ctx, &l.done, p.rate/2, func() { l.request(c, c == fresh) }) })
	}
	if l.want == 0 {
		return l
	}
	for range slowBodies {
		l.done.Go(func() {
			for ctx.Err() == nil {
				l.body(fresh)
			}
		})
	}
	// Not all at once: they are to be there, and not to come in a rush.
	dials := make(chan struct{}, 16)
	for i := range l.want {
		l.done.Go(func() {
			dials <- struct{}{}
			err := l.long(ctx, i < p.sockets, func() { <-dials; l.open.Add(1) })
			if ctx.Err() == nil {
				l.mu.Lock()
				l.report.cut = append(l.report.cut, err)
				l.mu.Unlock()
			}
		})
	}
	return l
}

func (l *load) awaitOpen(ctx context.Context) error {
	return figures.Poll(ctx, func() (bool, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return int(l.open.Load()) == l.want, errors.Join(l.report.cut...)
	})
}

// stop ends it, once.
func (l *load) stop() report {
	l.end()
	l.done.Wait()
	r := l.report
	for _, f := range l.failures {
		victim, _ := figures.Blame(l.kills, f.began, f.ended)
		switch {
		case errors.Is(f.err, syscall.ECONNREFUSED) && victim != "nothing":
			r.refused++
		case victim == "node", victim == "node, later" && f.kept:
			r.flight++ // also who learns only now that its connection has gone
		case victim == "node, later":
			r.later++
		default:
			r.failed = append(r.failed, f.err)
		}
	}
	return r
}

func (l *load) request(c *http.Client, fresh bool) {
	began := time.Now()
	kept, err := l.post(c, "/", strings.NewReader("12345"), 5, "5")
	took := time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report.requests++
	if fresh {
		l.report.longestNew = max(l.report.longestNew, took)
	} else {
		l.report.longestKept = max(l.report.longestKept, took)
	}
	if err != nil {
		l.failures = append(l.failures, failure{began, time.Now(), kept, err})
	}
}

// body sends one slowly.
func (l *load) body(c *http.Client) {
	r, w := io.Pipe()
	go func() {
		tick := time.NewTicker(bodyTime / 10)
		defer tick.Stop()
		for range 10 {
			if _, err := io.WriteString(w, "0123456789"); err != nil {
				return
			}
			<-tick.C
		}
		_ = w.Close()
	}()
	_, err := l.post(c, "/slow", r, -1, "100")
	r.CloseWithError(io.EOF)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report.bodies++
	if err != nil {
		l.report.cut = append(l.report.cut, fmt.Errorf("a slow body: %w", err))
	}
}

// post sends what no client repeats by itself.
func (l *load) post(c *http.Client, path string, body io.Reader, length int64, want string) (kept bool, err error) {
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { kept = i.Reused }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+l.addr+path, io.NopCloser(body))
	if err != nil {
		return kept, err
	}
	req.Host, req.ContentLength = host, length
	res, err := c.Do(req)
	if err != nil {
		return kept, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || string(b) != want) {
		err = fmt.Errorf("%s: %s", res.Status, b)
	}
	return kept, err
}

// long is a WebSocket that is spoken over, or a stream that is read, until ctx ends.
func (l *load) long(ctx context.Context, socket bool, opened func()) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", l.addr)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	defer c.Close()
	head, status := "GET /events HTTP/1.1\r\nHost: "+host+"\r\n\r\n", http.StatusOK
	if socket {
		head, status = "GET /ws HTTP/1.1\r\nHost: "+host+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", http.StatusSwitchingProtocols
	}
	if _, err := io.WriteString(c, head); err != nil {
		return err
	}
	in := bufio.NewReaderSize(c, 512)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != status {
		return errors.New(res.Status)
	}
	opened()
	if !socket {
		_, err := io.Copy(io.Discard, res.Body)
		return fmt.Errorf("a stream ended: %w", errors.Join(io.EOF, err))
	}
	tick := time.NewTicker(echoEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		line := fmt.Sprintf("hello %d\n", n)
		if _, err := io.WriteString(c, line); err != nil {
			return fmt.Errorf("a WebSocket: %w", err)
		}
		if got, err := in.ReadString('\n'); err != nil || got != line {
			return fmt.Errorf("a WebSocket said %q: %w", got, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// kill kills the node and returns when a request over a new connection is answered.
func (l *load) kill(ctx context.Context, p *demo.Platform) (time.Duration, error) {
	pid, err := p.Process("node")
	if err != nil {
		return 0, err
	}
	k := figures.Kill{Victim: "node", From: time.Now()}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return 0, fmt.Errorf("kill the node: %w", err)
	}
	// Until it is gone its connections take requests.
	err = figures.Poll(ctx, func() (bool, error) { return syscall.Kill(pid, 0) != nil, nil })
	k.To = time.Now()
	l.mu.Lock()
	l.kills = append(l.kills, k)
	l.mu.Unlock()
	if err != nil {
		return 0, err
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	_, err = l.post(c, "/", strings.NewReader("12345"), 5, "5")
	return time.Since(k.From), err
}
