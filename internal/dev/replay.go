package dev

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// profile is a load that was recorded.
type profile struct{ requests []Request }

// readProfile reads what a recorder wrote.
func readProfile(path string) (*profile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	p, n := &profile{}, 0
	for lines.Scan() {
		if n++; n == 1 {
			var head profileHead
			if err := json.Unmarshal(lines.Bytes(), &head); err != nil || head.Profile != profileFormat {
				return nil, fmt.Errorf("replay: %s is no load profile that this titrate knows\n  help    titrate dev --record FILE writes one", path)
			}
			continue
		}
		var r Request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("replay: %s:%d: %w", path, n, err)
		}
		if !r.Cut { // half a body is another request
			p.requests = append(p.requests, r)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("replay: %s: %w", path, err)
	}
	if len(p.requests) == 0 {
		return nil, fmt.Errorf("replay: %s holds no request that can be sent again", path)
	}
	return p, nil
}

// between two rounds of a profile, and how many of its requests may be open at once.
const (
	betweenRounds = 100 * time.Millisecond
	openAtOnce    = 256
)

// replay sends the requests at their own pace, again and again, until ctx ends. It
// waits for no answer before the next: load does not get less because an app is slow.
func (p *profile) replay(ctx context.Context, addr string) error {
	tr := &http.Transport{MaxIdleConnsPerHost: openAtOnce}
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var open sync.WaitGroup
	defer open.Wait()
	slots := make(chan struct{}, openAtOnce)
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		began := time.Now()
		for _, r := range p.requests {
			timer.Reset(time.Until(began.Add(time.Duration(r.After * float64(time.Millisecond)))))
			select {
			case <-timer.C:
			case <-ctx.Done():
				return nil
			}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			open.Go(func() {
				defer func() { <-slots }()
				send(ctx, c, addr, r)
			})
		}
		timer.Reset(betweenRounds)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// send asks once. What came of it the gateway counts.
func send(ctx context.Context, c *http.Client, addr string, r Request) {
	req, err := http.NewRequestWithContext(ctx, r.Method, "http://"+addr+r.Path, bytes.NewReader(r.Body))
	if err != nil {
		return
	}
	req.Host = r.Host
	if r.Type != "" {
		req.Header.Set("Content-Type", r.Type)
	}
	res, err := c.Do(req)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
}
