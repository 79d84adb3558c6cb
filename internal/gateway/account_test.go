package gateway

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"titrate/internal/rollout"
)

// account returns the account of a route, summed over versions.
func (r *rig) account(route string) (sum Account) {
	all, _ := r.Accounts()
	sum.Failures = map[string]uint64{}
	for _, a := range all {
		if a.Route != route {
			continue
		}
		sum.Requests += a.Requests
		sum.Retries += a.Retries
		sum.In += a.In
		sum.Out += a.Out
		sum.Aborted += a.Aborted
		sum.Latency.Merge(a.Latency)
		for c, n := range a.Status {
			sum.Status[c] += n
		}
		for reason, n := range a.Failures {
			sum.Failures[reason] += n
		}
	}
	return sum
}

// version makes a version of one real server.
func (r *rig) version(t *testing.T, v rollout.Version, h http.HandlerFunc) {
	t.Helper()
	r.SetInstances(orders, v, []Endpoint{newBackend(t, v.String(), h).Endpoint})
}

func TestR29_everyRequestIsInTheAccountOfItsVersionAndRoute(t *testing.T) {
	t.Parallel()
	for front, moves := range fronts() {
		t.Run(front, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Config{})
			answer := func(w http.ResponseWriter, q *http.Request) {
				n, _ := io.Copy(io.Discard, q.Body)
				if q.URL.Path == "/broken" {
					w.WriteHeader(http.StatusInternalServerError)
				}
				fmt.Fprintf(w, "%04d", n)
			}
			r.version(t, 1, answer)
			r.version(t, 2, answer)
			r.split(t, map[rollout.Version]rollout.Weight{1: 5000, 2: 5000})
			var all sync.WaitGroup
			const each = 40
			for i := range each {
				all.Go(func() {
					r.do(t, "GET", r.url(fmt.Sprintf("/orders/%d", 1000+i)), nil, moves...)
					r.do(t, "POST", r.url("/orders"), strings.NewReader("12345"), moves...)
					r.do(t, "GET", r.url("/broken"), nil, moves...)
				})
			}
			all.Wait()
			orders, posts, broken := r.account("GET /orders/{id}"), r.account("POST /orders"), r.account("GET /broken")
			if orders.Requests != each || orders.Status[2] != each || orders.Latency.Total() != each || orders.Out != 4*each || orders.In != 0 {
				t.Errorf("GET /orders/{id}: %+v", orders)
			}
			if posts.Requests != each || posts.In != 5*each || posts.Out != 4*each {
				t.Errorf("POST /orders: %+v", posts)
			}
			if broken.Status[5] != each || broken.Failures["status"] != each {
				t.Errorf("GET /broken: %+v", broken)
			}
			_, flows := r.Accounts()
			var started uint64
			for _, f := range flows {
				started += f.Started
				if f.Started != f.Ended || f.InFlight != 0 {
					t.Errorf("%s has started %d, ended %d, open %d", f.Version, f.Started, f.Ended, f.InFlight)
				}
			}
			if started != 3*each {
				t.Errorf("started %d of %d", started, 3*each)
			}
		})
	}
}

func TestR29_startedIsDoneAndInFlightAtAnyTime(t *testing.T) {
	t.Parallel()
	for front, moves := range fronts() {
		t.Run(front, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Config{})
			come, goOn := make(chan struct{}), make(chan struct{})
			r.version(t, 1, func(http.ResponseWriter, *http.Request) { come <- struct{}{}; <-goOn })
			r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() { r.do(t, "GET", r.url("/"), nil, moves...) })
			}
			for range 5 {
				<-come
			}
			look := func() Flow {
				_, flows := r.Accounts()
				return flows[0]
			}
			if f := look(); f.Started != 5 || f.Ended != 0 || f.InFlight != 5 {
				t.Errorf("with all under way: %+v", f)
			}
			goOn <- struct{}{}
			for f := look(); f.Ended == 0; f = look() {
				if f.Started != f.Ended+uint64(f.InFlight) {
					t.Fatalf("started is not done and in flight: %+v", f)
				}
			}
			close(goOn)
			all.Wait()
		})
	}
}

func TestR29_atMost256RoutesOfAWorkloadAreToldApart(t *testing.T) {
	t.Parallel()
	var n routeNames
	places := map[int]int{}
	for i := range 300 {
		places[n.place(asked{"GET", "/p" + strings.Repeat("x", i/20) + string(rune('a'+i%20))}, 200)]++
	}
	if len(places) != mostRoutes+1 || places[otherAt] != 300-mostRoutes {
		t.Errorf("%d places, %d of them together", len(places), places[otherAt])
	}
	if n.place(asked{}, 0) != eventAt {
		t.Error("an event is not in its own account")
	}
}

func TestR29_whatNoVersionKnowsTakesNoPlace(t *testing.T) {
	t.Parallel()
	var n routeNames
	if got := n.place(asked{"GET", "/wp-admin"}, 404); got != otherAt {
		t.Errorf("a scanner's guess has place %d", got)
	}
	at := n.place(asked{"GET", "/orders"}, 500)
	if got := n.place(asked{"GET", "/orders"}, 404); got != at || at == otherAt {
		t.Errorf("a route that is known is counted at %d, and at %d when it answers 404", at, got)
	}
}

func TestR29_routesHaveAPlainName(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/":                     "GET /",
		"/orders":               "GET /orders",
		"/orders/":              "GET /orders/",
		"/orders/17":            "GET /orders/{id}",
		"/v1/orders/17/items/3": "GET /v1/orders/{id}/items/{id}",
		"/o/6fa459ea-ee8a-3ca4-894e-db77e160355e": "GET /o/{id}",
		"/o/deadbeef01":                   "GET /o/{id}",
		"/o/facade":                       "GET /o/facade",
		"/o/sess_4k2j9x0q8w7e6r5t":        "GET /o/{id}",
		"/users/anna@example.org":         "GET /users/{id}",
		"/search/grüße":                   "GET /search/{id}",
		"/a\nb":                           "GET /{id}",
		"/1/2/3/4/5/6/7/8/9/10":           "GET /{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/…",
		"/" + strings.Repeat("word/", 60): "GET /word/word/word/word/word/word/word/word/…",
		"/" + strings.Repeat("w", 65):     "GET /{id}",
	} {
		if got := string(appendRouteName(nil, "GET", path)); got != want {
			t.Errorf("%q is counted as %q, want %q", path, got, want)
		}
	}
	if got := string(appendRouteName(nil, "BREW", "/tea")); got != "OTHER /tea" {
		t.Errorf("a made-up method: %q", got)
	}
}

func FuzzRouteName(f *testing.F) {
	for _, s := range []string{"/", "/a/1", "//", "/%zz", "/ü/../x", strings.Repeat("/abc", 100)} {
		f.Add("GET", s)
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		name := string(appendRouteName(nil, method, path))
		if len(name) > nameBytes+64 {
			t.Errorf("%d bytes", len(name))
		}
		for _, c := range name {
			if (c < ' ' || c > '~') && c != '…' {
				t.Errorf("%q holds %q", name, c)
			}
		}
		from := strings.Index(name, "/")
		if again := string(appendRouteName(nil, "GET", name[from:])); from < 0 || len(again) > nameBytes+64 {
			t.Errorf("%q", name)
		}
	})
}

func TestAccount_tellsWhyAVersionFailed(t *testing.T) {
	t.Parallel()
	for front, moves := range fronts() {
		t.Run(front, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Config{ResponseTimeout: 20 * time.Millisecond})
			r.version(t, 1, func(w http.ResponseWriter, q *http.Request) {
				switch q.URL.Path {
				case "/late":
					<-q.Context().Done()
				case "/gone":
					panic(http.ErrAbortHandler)
				}
			})
			r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
			r.do(t, "POST", r.url("/late"), strings.NewReader("x"), moves...)
			r.do(t, "POST", r.url("/gone"), strings.NewReader("x"), moves...)
			r.SetInstances(orders, 1, []Endpoint{{ID: "nobody", Addr: "127.0.0.1:1"}})
			r.do(t, "GET", r.url("/away"), nil, moves...)
			r.SetInstances(orders, 1, nil)
			r.do(t, "GET", r.url("/unready"), nil, moves...)
			for route, reason := range map[string]string{"POST /late": "timeout", "POST /gone": "broken", "GET /away": "connect", "GET /unready": "unready"} {
				if a := r.account(route); a.Requests != 1 || a.Failures[reason] != 1 {
					t.Errorf("%s: %+v", route, a)
				}
			}
		})
	}
}

type usedKey struct{}

// A connection that the instance closes on its second request: that is sent once more.
func TestAccount_countsWhatWasSentOnceMore(t *testing.T) {
	t.Parallel()
	for front, moves := range fronts() {
		t.Run(front, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Config{})
			var closed atomic.Uint64
			b := newBackend(t, "a", func(_ http.ResponseWriter, q *http.Request) {
				if q.Context().Value(usedKey{}).(*atomic.Bool).Swap(true) {
					closed.Add(1)
					panic(http.ErrAbortHandler)
				}
			}, func(s *http.Server) {
				s.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
					return context.WithValue(ctx, usedKey{}, new(atomic.Bool))
				}
			})
			r.SetInstances(orders, 1, []Endpoint{b.Endpoint})
			r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
			sent := uint64(0)
			eventually(t, "a kept connection was used", func() bool {
				if status, _, _ := r.get(t, "/", moves...); status != http.StatusOK {
					t.Errorf("answered %d", status)
				}
				sent++
				return r.account("GET /").Retries > 0
			})
			if a := r.account("GET /"); a.Retries != closed.Load() || a.Requests != sent || a.Status[2] != sent {
				t.Errorf("of %d: %+v", sent, a)
			}
		})
	}
}

func TestAccount_countsAllBytesOfAStream(t *testing.T) {
	t.Parallel()
	for front, moves := range fronts() {
		t.Run(front, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Config{})
			goOn := make(chan struct{})
			r.version(t, 1, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				io.WriteString(w, "data: 1\n\n")
				http.NewResponseController(w).Flush()
				<-goOn
				io.WriteString(w, "data: 2\n\n")
			})
			r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
			var asked sync.WaitGroup
			asked.Go(func() { r.get(t, "/events", moves...) })
			eventually(t, "it is counted at its head", func() bool { return r.account("GET /events").Requests == 1 })
			close(goOn)
			asked.Wait()
			eventually(t, "all of it is counted", func() bool { return r.account("GET /events").Out == 18 })
			if a := r.account("GET /events"); a.Requests != 1 {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestRouteNames_allocateNothingForARouteThatIsKnown(t *testing.T) {
	var n routeNames
	a := asked{"GET", "/orders/17/items/4bf92f3577b34da6"}
	n.place(a, 200)
	if got := testing.AllocsPerRun(100, func() { n.place(a, 200) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
