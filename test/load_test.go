package test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// load is requests at a steady rate, whatever comes back (open loop).
type load struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu                sync.Mutex
	requests, dropped int
	said              map[string]int // answers by what they said; failures by their status
	errs              []error
}

var loads sync.Map // of *testscript.TestScript's names to *load

// commandLoad starts and stops load on the host app.localhost; stop writes what
// came back.
func commandLoad(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case !neg && len(args) >= 2 && args[0] == "start":
		rate, err := strconv.Atoi(args[1])
		ts.Check(err)
		host := "app.localhost"
		if len(args) > 2 {
			host = args[2]
		}
		l := startLoad(running(ts).Gateway, host, rate)
		loads.Store(ts.Name(), l)
		ts.Defer(func() { l.stop() })
	case !neg && len(args) == 1 && args[0] == "stop":
		v, ok := loads.Load(ts.Name())
		if !ok {
			ts.Fatalf("no load was started")
		}
		fmt.Fprint(ts.Stdout(), v.(*load).stop())
	default:
		ts.Fatalf("usage: load start RATE [HOST] | load stop")
	}
}

// freshLoad is load of which each request has a connection of its own.
func freshLoad(gateway, host string, rate int) *load {
	return loadBy(&http.Transport{DisableKeepAlives: true}, gateway, host, rate)
}

func startLoad(gateway, host string, rate int) *load {
	return loadBy(&http.Transport{MaxIdleConnsPerHost: 64}, gateway, host, rate)
}

func loadBy(by *http.Transport, gateway, host string, rate int) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel, said: map[string]int{}}
	client := &http.Client{Timeout: 10 * time.Second, Transport: by}
	l.done.Go(func() {
		defer client.CloseIdleConnections()
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				// Requests end by themselves: the end of the load drops none.
				l.done.Go(func() { l.note(ask(client, gateway, host, "/")) })
			}
		}
	})
	return l
}

// ask makes one request and returns what the answer said, or its status when it
// is a failure.
func ask(client *http.Client, gateway, host, path string, headers ...string) (string, error) {
	req, err := http.NewRequest(http.MethodGet, gateway+path, nil)
	if err != nil {
		return "", err
	}
	req.Host = host
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode >= 400 {
		return strconv.Itoa(resp.StatusCode), nil
	}
	return strings.TrimSpace(string(b)), nil
}

func (l *load) note(said string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	if err != nil {
		l.dropped++
		l.errs = append(l.errs, err)
		return
	}
	l.said[said]++
}

// stop ends the load and sums it up: "requests=120 dropped=0 500=3 one=100 two=17".
func (l *load) stop() string {
	l.cancel()
	l.done.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	text := fmt.Sprintf("requests=%d dropped=%d", l.requests, l.dropped)
	for _, k := range slices.Sorted(maps.Keys(l.said)) {
		text += fmt.Sprintf(" %s=%d", k, l.said[k])
	}
	for _, err := range l.errs[:min(len(l.errs), 5)] {
		text += "\n" + err.Error()
	}
	return text + "\n"
}

// commandGet asks the gateway for a path of app.localhost until the answer (or
// the status of a failure) is as given.
func commandGet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: get PATH ANSWER|~PATTERN [HOST ['NAME: VALUE']...]")
	}
	host, headers := "app.localhost", []string(nil)
	if len(args) > 2 {
		host, headers = args[2], args[3:]
	}
	pattern, search := strings.CutPrefix(args[1], "~")
	wanted, err := regexp.Compile(pattern)
	ts.Check(err)
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	until(ts, func() (string, bool) {
		got, err := ask(client, running(ts).Gateway, host, args[0], headers...)
		if err != nil {
			got = err.Error()
		}
		return got, got == args[1] || search && wanted.MatchString(got)
	})
}
