package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"titrate/bench/figures"
)

// calmRate is how many requests a second come where a proxy has time to spare.
const calmRate = 4000

// calm measures the proxies at a rate that none of them is troubled by.
func calm(ctx context.Context, w io.Writer, peers []*peer, rounds int, each time.Duration) error {
	all := map[string][]measured{}
	for range rounds {
		rand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
		for _, p := range peers {
			m, err := p.steady(ctx, each)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			all[p.name] = append(all[p.name], m)
		}
	}
	tellRatios(w, fmt.Sprintf("at %d/s", calmRate), all)
	return nil
}

// idlers measures what an idle connection costs proxies that have had little to do.
func idlers(ctx context.Context, w io.Writer, peers []*peer, n int) error {
	for _, p := range peers {
		if _, err := p.idle(ctx, 16); err != nil { // what they make once
			return fmt.Errorf("%s: %w", p.name, err)
		}
		kib, err := p.idle(ctx, n)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		figures.Line(w, fmt.Sprintf("%s, %d idle connections", p.name, n), fmt.Sprintf("%.2f KiB each", kib), "1.0 KiB")
	}
	return nil
}

// steady is one round at the rate, by a client that does not wait for answers.
func (p *peer) steady(ctx context.Context, lasting time.Duration) (m measured, err error) {
	tr := &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr, Timeout: 10 * time.Second}
	before, err := figures.Family(p.pid)
	if err != nil {
		return m, err
	}
	var mu sync.Mutex
	var took figures.Sample
	var failed error
	var sent sync.WaitGroup
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, lasting)
	defer cancel()
	figures.Steady(limited, &sent, calmRate, func() {
		at := time.Now()
		err := p.ask(ctx, c)
		d := time.Since(at)
		mu.Lock()
		defer mu.Unlock()
		if took = append(took, d); err != nil {
			failed = err
		}
	})
	sent.Wait()
	spent := time.Since(began)
	after, err := figures.Family(p.pid)
	if err != nil || failed != nil || len(took) == 0 {
		return m, fmt.Errorf("%d requests: %w", len(took), errors.Join(failed, err))
	}
	m.rate = float64(len(took)) / spent.Seconds()
	m.p99 = float64(took.At(0.99)) / float64(time.Millisecond)
	m.cpu = float64((after-before)/time.Microsecond) / float64(len(took))
	return m, nil
}

func (p *peer) ask(ctx context.Context, c *http.Client) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.at+"/orders/7", http.NoBody)
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	res, err := c.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err = io.Copy(io.Discard, res.Body); err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("it answers %s", res.Status)
	}
	return err
}

// idle is what each of n kept connections costs in KiB, after one request over it.
func (p *peer) idle(ctx context.Context, n int) (float64, error) {
	before, err := figures.FamilyPSS(p.pid)
	if err != nil {
		return 0, err
	}
	conns := make([]net.Conn, 0, n)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	var d net.Dialer
	for range n {
		c, err := d.DialContext(ctx, "tcp", p.at)
		if err != nil {
			return 0, fmt.Errorf("connection %d: %w", len(conns), err)
		}
		conns = append(conns, c)
		if _, err := io.WriteString(c, "GET /orders/7 HTTP/1.1\r\nHost: bench\r\n\r\n"); err != nil {
			return 0, fmt.Errorf("connection %d: %w", len(conns), err)
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return 0, fmt.Errorf("connection %d: %w", len(conns), err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return 0, fmt.Errorf("connection %d: %w", len(conns), err)
		}
		res.Body.Close()
	}
	after, err := figures.FamilyPSS(p.pid)
	return float64(after-before) / 1024 / float64(n), err
}
