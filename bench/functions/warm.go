package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"titrate/bench/figures"
	"titrate/internal/demo"
)

// rounds are turns of each of two that are compared, one after the other.
const rounds = 3

// warm measures calls that find an instance, beside the same handler as a plain service
// behind the same gateway, and beside AWS's emulator.
func warm(ctx context.Context, p *demo.Platform, s settings, noop string) error {
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true}}
	at := p.Gateway + "/"
	for _, host := range []string{"fn.localhost", "plain.localhost"} { // both are warm
		if _, _, err := open(ctx, c, at, host, s.rate/4, time.Second); err != nil {
			return err
		}
	}
	var fn, plain figures.Sample
	var lost int64
	var why error
	for range rounds {
		for host, to := range map[string]*figures.Sample{"fn.localhost": &fn, "plain.localhost": &plain} {
			took, failed, err := open(ctx, c, at, host, s.rate, s.lasting/rounds)
			*to = append(*to, took...)
			lost, why = lost+failed, cmp.Or(why, err)
		}
	}
	if lost > 0 {
		return fmt.Errorf("%d requests failed: %w", lost, why)
	}
	line := func(name string, of figures.Sample, limit string) {
		figures.Line(os.Stdout, name, fmt.Sprintf("p50 %v  p99 %v  of %d", of.At(0.5).Round(time.Microsecond), of.At(0.99).Round(time.Microsecond), len(of)), limit)
	}
	line(fmt.Sprintf("warm, %.0f/s: function", s.rate), fn, "p50 250 µs, p99 2 ms")
	line("the same as a plain service", plain, "")
	figures.Line(os.Stdout, "function beside service, p50", fmt.Sprintf("%.2f×", float64(fn.At(0.5))/float64(plain.At(0.5))), "1.6×")
	one := closed(ctx, c, at, "fn.localhost", nil, 1, s.lasting/2)
	eight := closed(ctx, c, at, "fn.localhost", nil, 8, s.lasting/2)
	figures.Line(os.Stdout, "warm, as many as can be", fmt.Sprintf("%.0f/s by one client, %.0f/s by eight", one, eight), "")
	return emulated(ctx, c, s, noop, one, eight)
}

// emulated measures AWS's runtime interface emulator with the same program. It takes one
// call at a time.
func emulated(ctx context.Context, c *http.Client, s settings, noop string, one, eight float64) error {
	if s.emulator == "" {
		figures.Line(os.Stdout, "beside AWS's runtime interface emulator", "not measured: -emulator names none", "5×")
		return nil
	}
	const addr = "127.0.0.1:18080"
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.emulator, "--runtime-interface-emulator-address", addr, "--log-level", "error", noop)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the emulator: %w", err)
	}
	defer func() { cancel(); _ = cmd.Wait() }() // it is ended by its context
	at, event := "http://"+addr+"/2015-03-31/functions/function/invocations", []byte(`{"version":"2.0","routeKey":"GET /"}`)
	err := figures.Poll(ctx, func() (bool, error) { return call(ctx, c, at, "", event) == nil, nil })
	if err != nil {
		return err
	}
	theirs := closed(ctx, c, at, "", event, 1, s.lasting/2)
	figures.Line(os.Stdout, "beside AWS's runtime interface emulator", fmt.Sprintf("%.1f× by one client, %.1f× by eight; it does %.0f/s, one at a time", one/theirs, eight/theirs, theirs), "5×")
	return nil
}

// open sends at a rate, whether or not earlier requests were answered, and returns how
// long each took from when it was due.
func open(ctx context.Context, c *http.Client, at, host string, rate float64, lasting time.Duration) (figures.Sample, int64, error) {
	var mu sync.Mutex
	var why error
	var took figures.Sample
	var failed atomic.Int64
	var all sync.WaitGroup
	ctx, cancel := context.WithTimeout(ctx, lasting)
	defer cancel()
	figures.Steady(ctx, &all, rate, func() {
		began := time.Now()
		if err := call(context.WithoutCancel(ctx), c, at, host, nil); err != nil {
			failed.Add(1)
			mu.Lock()
			defer mu.Unlock()
			why = fmt.Errorf("%s: %w", host, err)
			return
		}
		d := time.Since(began)
		mu.Lock()
		took = append(took, d)
		mu.Unlock()
	})
	<-ctx.Done()
	all.Wait()
	return took, failed.Load(), why
}

// closed has clients call one after the other, and returns the calls of a second.
func closed(ctx context.Context, c *http.Client, at, host string, event []byte, clients int, lasting time.Duration) float64 {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, lasting)
	defer cancel()
	var n atomic.Int64
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for ctx.Err() == nil {
				if call(ctx, c, at, host, event) == nil {
					n.Add(1)
				}
			}
		})
	}
	all.Wait()
	return float64(n.Load()) / time.Since(began).Seconds()
}

func call(ctx context.Context, c *http.Client, at, host string, event []byte) error {
	method, body := http.MethodGet, io.Reader(http.NoBody)
	if event != nil {
		method, body = http.MethodPost, bytes.NewReader(event)
	}
	req, err := http.NewRequestWithContext(ctx, method, at, body)
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	req.Host = host
	res, err := c.Do(req)
	if err != nil {
		return fmt.Errorf("call: %w", err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}
