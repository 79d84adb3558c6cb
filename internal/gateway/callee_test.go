package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"titrate/internal/invocation"
	"titrate/internal/rollout"
)

// fakeCallee is a version of a function that does as a test says.
type fakeCallee struct {
	does func(ctx context.Context, what string, c invocation.Call) (string, invocation.Called)
	hits atomic.Uint64 // calls that reached it
	real atomic.Uint64 // of those, real invocations
}

func newFunction(does func(ctx context.Context, what string, c invocation.Call) (string, invocation.Called)) *fakeCallee {
	return &fakeCallee{does: does}
}

// answers is what a function does that says a word.
func answers(s string) func(context.Context, string, invocation.Call) (string, invocation.Called) {
	return func(context.Context, string, invocation.Call) (string, invocation.Called) {
		return s, invocation.Called{}
	}
}

func (f *fakeCallee) call(ctx context.Context, what string, c invocation.Call) (string, invocation.Called) {
	s, done := f.does(ctx, what, c)
	if done.Failure != invocation.Stopped {
		f.hits.Add(1)
		if c.Real {
			f.real.Add(1)
		}
	}
	return s, done
}

func (f *fakeCallee) Serve(r *http.Request, c invocation.Call) (*http.Response, invocation.Called) {
	what := r.URL.Path
	if body, err := io.ReadAll(r.Body); err != nil {
		return nil, invocation.Called{Failure: invocation.Canceled}
	} else if len(body) > 0 {
		what = string(body)
	}
	s, done := f.call(r.Context(), what, c)
	status := http.StatusOK
	switch done.Failure {
	case "":
	case invocation.Throttled:
		status = http.StatusTooManyRequests
	case invocation.Timeout:
		status = http.StatusGatewayTimeout
	default:
		status = http.StatusBadGateway
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"X-Call": {c.ID}, "Connection": {"close"}},
		ContentLength: int64(len(s)), Body: io.NopCloser(strings.NewReader(s)),
	}, done
}

func (f *fakeCallee) Begin(r *http.Request, c invocation.Call, then func(*http.Response, invocation.Called)) {
	go func() { then(f.Serve(r, c)) }()
}

func (f *fakeCallee) Invoke(ctx context.Context, event []byte, c invocation.Call) ([]byte, invocation.Called) {
	s, done := f.call(ctx, string(event), c)
	if c.To != nil && done.Failure == "" {
		to := c.To()
		for _, word := range strings.Fields(s) {
			if _, err := io.WriteString(to, word); err != nil {
				return nil, invocation.Called{Failure: invocation.Canceled}
			}
		}
		return nil, done
	}
	return []byte(s), done
}

// function makes a callee the one ready instance of a version.
func (r *rig) function(v rollout.Version, f *fakeCallee) {
	r.SetInstances(orders, v, []Endpoint{{ID: v.String(), Callee: f}})
}

func TestAFunctionAnswersAsAServiceDoes(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	long := strings.Repeat("beans ", 10_000)
	var seen *http.Request
	f := newFunction(func(_ context.Context, what string, _ invocation.Call) (string, invocation.Called) {
		return what, invocation.Called{Cold: what == "/cold"}
	})
	r.SetInstances(orders, 1, []Endpoint{{ID: "f", Callee: &pointed{serveFunc(func(req *http.Request, c invocation.Call) (*http.Response, invocation.Called) {
		seen = req
		return f.Serve(req, c)
	})}}})
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url("/a%2Fb?x=1&titrate_preview=no"), strings.NewReader(long))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "shop.example"
	req.Header.Set("X-Request-Id", "mine")
	req.Header.Set("Connection", "X-Hop")
	req.Header.Set("X-Hop", "1")
	res, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	h := res.Header
	if err != nil || string(body) != long || res.ContentLength != int64(len(long)) || h.Get(HeaderVersion) != "v1" ||
		h.Get("X-Request-Id") != "mine" || h.Get("X-Call") != "mine" || h.Get("Via") != via || res.Close {
		t.Errorf("%v: %d bytes, %+v", err, len(body), res)
	}
	if seen.URL.EscapedPath() != "/a%2Fb" || seen.URL.RawQuery != "x=1" || seen.Host != "shop.example" ||
		seen.Header.Get("X-Forwarded-For") != "127.0.0.1" || seen.Header.Get("X-Hop") != "" || seen.RemoteAddr == "" {
		t.Errorf("it saw %+v", seen)
	}
	if status, version, got := r.get(t, "/cold"); status != http.StatusOK || version != "v1" || got != "/cold" {
		t.Errorf("%d %s %q", status, version, got)
	}
	if w := r.sum(1); w.Requests != 2 || w.Status[2] != 2 || w.ColdStarts != 1 || w.Failed != 0 || f.real.Load() != 2 {
		t.Errorf("counted: %+v", w)
	}
}

// serveFunc answers requests only.
type serveFunc func(*http.Request, invocation.Call) (*http.Response, invocation.Called)

func (f serveFunc) Serve(r *http.Request, c invocation.Call) (*http.Response, invocation.Called) {
	return f(r, c)
}

func (f serveFunc) Begin(r *http.Request, c invocation.Call, then func(*http.Response, invocation.Called)) {
	go func() { then(f.Serve(r, c)) }()
}

func (serveFunc) Invoke(context.Context, []byte, invocation.Call) ([]byte, invocation.Called) {
	return nil, invocation.Called{Failure: invocation.Unhandled}
}

func TestPreviewsOfAFunctionAreNoRealInvocations(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	stable, candidate := newFunction(answers("stable")), newFunction(answers("candidate"))
	r.function(1, stable)
	r.function(2, candidate)
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full, 2: -1})
	token := SignPreview(previewKey, orders, 2, time.Now().Add(time.Hour))
	if status, version, body := r.get(t, "/", HeaderVersion, "v2", HeaderPreview, token); status != http.StatusOK || version != "v2" || body != "candidate" {
		t.Errorf("%d %s %s", status, version, body)
	}
	if w := r.sum(2); w.Requests != 0 || candidate.hits.Load() != 1 || candidate.real.Load() != 0 {
		t.Errorf("counted: %+v, %d real", w, candidate.real.Load())
	}
}

func TestFailuresOfAFunctionAreCountedApart(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	r.function(1, newFunction(func(_ context.Context, what string, _ invocation.Call) (string, invocation.Called) {
		return "{}", invocation.Called{Failure: invocation.Failure(strings.TrimPrefix(what, "/"))}
	}))
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	for failure, want := range map[invocation.Failure]int{
		"": 200, invocation.Unhandled: 502, invocation.Timeout: 504, invocation.Memory: 502, invocation.Exit: 502,
		invocation.Init: 502, invocation.TooLarge: 502, invocation.Malformed: 502, invocation.Throttled: 429,
	} {
		if status, version, _ := r.get(t, "/"+string(failure)); status != want || version != "v1" {
			t.Errorf("%q: %d from %s", failure, status, version)
		}
	}
	w := r.sum(1)
	if w.Requests != 9 || w.Status[2] != 1 || w.Status[4] != 1 || w.Status[5] != 7 || w.Failed != 7 || w.Timeouts != 1 || w.OOM != 1 || w.Throttles != 1 {
		t.Errorf("counted: %+v", w)
	}
}

func TestAFunctionsStreamIsCountedAtItsHeadAndABrokenBodyFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	r.SetInstances(orders, 1, []Endpoint{{ID: "f", Callee: &pointed{serveFunc(func(req *http.Request, _ invocation.Call) (*http.Response, invocation.Called) {
		h := http.Header{}
		if req.URL.Path == "/events" {
			h.Set("Content-Type", "text/event-stream")
		}
		in, out := io.Pipe()
		go func() {
			fmt.Fprint(out, "data: 1\n\n")
			out.CloseWithError(errors.New("the process ended"))
		}()
		return &http.Response{StatusCode: http.StatusOK, Header: h, ContentLength: -1, Body: in}, invocation.Called{}
	})}}})
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	for _, path := range []string{"/events", "/report"} {
		res, err := r.client.Get(r.url(path))
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(res.Body); err == nil || string(body) != "data: 1\n\n" {
			t.Errorf("%s: %q %v", path, body, err)
		}
		res.Body.Close()
	}
	eventually(t, "both ended", func() bool { return r.inFlight.Load() == 0 })
	s, _ := r.Share(orders)
	if w := r.sum(1); w.Requests != 2 || w.Status[2] != 2 || w.Failed != 1 || s.Versions[0].Broken != 1 {
		t.Errorf("counted: %+v, broken %d", w, s.Versions[0].Broken)
	}
}

func TestAClientThatLeavesAFunctionIsAborted(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	came := make(chan struct{})
	r.function(1, newFunction(func(ctx context.Context, what string, _ invocation.Call) (string, invocation.Called) {
		if what == "/odd" {
			return "", invocation.Called{Failure: invocation.Canceled} // though nobody left
		}
		close(came)
		<-ctx.Done()
		return "", invocation.Called{Failure: invocation.Canceled}
	}))
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-came; cancel() }()
	for _, path := range []string{"/", "/odd"} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url(path), nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := r.client.Do(req); err == nil {
			t.Errorf("%s was answered: %d", path, res.StatusCode)
			res.Body.Close()
		}
		ctx = t.Context()
	}
	eventually(t, "both ended", func() bool { return r.inFlight.Load() == 0 })
	if w := r.sum(1); w.Requests != 2 || w.Aborted != 2 || w.Failed != 0 || w.Status != [6]uint64{} {
		t.Errorf("counted: %+v", w)
	}
}

func TestABodyThatIsNotHTTPIsNotTheFunctionsFailure(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	f := newFunction(answers("read"))
	r.function(1, f)
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	c, in := r.dial(t)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nthis is no chunk\r\n")
	if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != http.StatusBadRequest {
		t.Errorf("%+v %v", res, err)
	}
	eventually(t, "it ended", func() bool { return r.inFlight.Load() == 0 })
	if w := r.sum(1); w.Requests != 1 || w.Status[4] != 1 || w.Failed != 0 || f.hits.Load() != 0 {
		t.Errorf("counted: %+v", w)
	}
}

// stopsOnce is a function that has stopped when it is first called: by then the table
// gives all traffic to another version.
func stopsOnce(t *testing.T, r *rig, weights map[rollout.Version]rollout.Weight) *fakeCallee {
	t.Helper()
	var once sync.Once
	return newFunction(func(context.Context, string, invocation.Call) (string, invocation.Called) {
		once.Do(func() { r.split(t, weights) })
		return "", invocation.Called{Failure: invocation.Stopped}
	})
}

func TestR17_AStoppedVersionsCallIsDrawnAgain(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("order ", 50_000)
	for name, send := range map[string]func(*testing.T, *rig) (string, string){
		"get": func(t *testing.T, r *rig) (string, string) {
			t.Helper()
			_, version, body := r.get(t, "/beans")
			return version, body
		},
		"post": func(t *testing.T, r *rig) (string, string) {
			t.Helper()
			_, version, body := r.do(t, http.MethodPost, r.url("/"), strings.NewReader(long))
			return version, strings.ReplaceAll(body, long, "/beans")
		},
		"event": func(t *testing.T, r *rig) (string, string) {
			t.Helper()
			d, err := r.Deliver(t.Context(), orders, Event{Payload: []byte("/beans")})
			if err != nil {
				t.Fatal(err)
			}
			return d.Version.String(), string(d.Answer)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Config{})
			r.function(1, stopsOnce(t, r, map[rollout.Version]rollout.Weight{2: rollout.Full}))
			r.function(2, newFunction(func(_ context.Context, what string, _ invocation.Call) (string, invocation.Called) {
				return "two " + what, invocation.Called{}
			}))
			r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
			if version, body := send(t, r); version != "v2" || body != "two /beans" {
				t.Errorf("%s %.20s", version, body)
			}
			eventually(t, "it ended", func() bool { return r.inFlight.Load() == 0 })
			one, two := r.sum(1), r.sum(2)
			if one.Requests != 0 || two.Requests != 1 || two.Failed != 0 || r.Open(orders, 1) != 0 || r.Open(orders, 2) != 0 {
				t.Errorf("counted: %+v and %+v", one, two)
			}
			if s, _ := r.Share(orders); s.Requests != 1 || s.Versions[0].Drawn != 1 || s.Off {
				t.Errorf("share: %+v", s)
			}
		})
	}
}

func TestR5_AStoppedVersionThatHasWeightIsFailedOver(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	stopped := newFunction(func(context.Context, string, invocation.Call) (string, invocation.Called) {
		return "", invocation.Called{Failure: invocation.Stopped}
	})
	r.function(1, stopped)
	r.function(2, newFunction(answers("two")))
	r.split(t, map[rollout.Version]rollout.Weight{1: 9999, 2: 1})
	for range 50 {
		if status, version, _ := r.get(t, "/"); status != http.StatusOK || version != "v2" {
			t.Fatalf("%d %s", status, version)
		}
		if d, err := r.Deliver(t.Context(), orders, Event{}); err != nil || d.Version != 2 {
			t.Fatalf("%+v %v", d, err)
		}
	}
	s, _ := r.Share(orders)
	if s.Requests != 100 || s.Versions[0].Drawn != s.Versions[0].FailedOver || r.sum(2).Requests != 100 || s.Off {
		t.Errorf("share: %+v", s)
	}
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	if status, _, body := r.get(t, "/"); status != http.StatusServiceUnavailable || !strings.Contains(body, "no instance is ready") {
		t.Errorf("%d %s", status, body)
	}
	if _, err := r.Deliver(t.Context(), orders, Event{}); !errors.Is(err, ErrNotReady) {
		t.Errorf("%v", err)
	}
	eventually(t, "all ended", func() bool { return r.inFlight.Load() == 0 })
	if w := r.sum(1); w.Requests != 1 || w.Failed != 1 || w.Status[5] != 1 {
		t.Errorf("what found nothing ready is counted: %+v", w)
	}
	token := SignPreview(previewKey, orders, 1, time.Now().Add(time.Hour))
	if status, _, _ := r.get(t, "/", HeaderVersion, "v1", HeaderPreview, token); status != http.StatusServiceUnavailable {
		t.Errorf("a preview of a stopped version: %d", status)
	}
	if s, _ := r.Share(orders); s.Versions[0].Previewed != 0 || r.inFlight.Load() != 0 {
		t.Errorf("share: %+v", s)
	}
}

func TestAStoppedVersionsRequestWhoseRouteIsGoneFindsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	r.function(1, newFunction(func(context.Context, string, invocation.Call) (string, invocation.Called) {
		r.split(t, nil, func(t *Table) { t.Workloads = nil })
		return "", invocation.Called{Failure: invocation.Stopped}
	}))
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	if status, _, _ := r.get(t, "/"); status != http.StatusNotFound {
		t.Errorf("%d", status)
	}
	eventually(t, "it ended", func() bool { return r.inFlight.Load() == 0 })
	if w := r.sum(1); w.Requests != 0 || r.Open(orders, 1) != 0 {
		t.Errorf("counted: %+v", w)
	}
}

func TestR17_AFunctionsCallThatOutlivesItsDrainIsCut(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	came := make(chan struct{}, 2)
	r.function(1, newFunction(func(ctx context.Context, _ string, _ invocation.Call) (string, invocation.Called) {
		came <- struct{}{}
		<-ctx.Done()
		return "", invocation.Called{Failure: invocation.Canceled}
	}))
	r.function(2, newFunction(answers("two")))
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full, 2: 0})
	var both sync.WaitGroup
	both.Go(func() {
		if status, _, body := r.get(t, "/"); status != http.StatusServiceUnavailable || !strings.Contains(body, "cut") {
			t.Errorf("request: %d %s", status, body)
		}
	})
	both.Go(func() {
		if d, err := r.Deliver(t.Context(), orders, Event{}); !errors.Is(err, ErrCut) || d.Version != 1 {
			t.Errorf("event: %+v %v", d, err)
		}
	})
	<-came
	<-came
	if n := r.Open(orders, 1); n != 2 {
		t.Errorf("%d are open", n)
	}
	r.split(t, map[rollout.Version]rollout.Weight{1: 0, 2: rollout.Full}, drainOf(time.Millisecond))
	both.Wait()
	eventually(t, "both ended", func() bool { return r.inFlight.Load() == 0 })
	s, _ := r.Share(orders)
	if w := r.sum(1); w.Requests != 2 || w.Status[5] != 1 || w.Failed != 0 || w.Aborted != 0 || s.Versions[0].Cut != 2 {
		t.Errorf("counted: %+v, cut %d", w, s.Versions[0].Cut)
	}
}

func TestABodyIsKeptAsFarAsAFunctionMayBeSent(t *testing.T) {
	t.Parallel()
	text := make([]byte, maxKept)
	rand.NewChaCha8([32]byte{1}).Read(text)
	b := &keptBody{ReadCloser: io.NopCloser(bytes.NewReader(text))}
	for _, n := range []int{0, 1, 70_000, 5, maxKept} {
		if _, err := io.ReadFull(b, make([]byte, n)); err != nil || !b.again() {
			t.Fatalf("after %d: %v", n, err)
		}
	}
	if all, err := io.ReadAll(b); err != nil || !bytes.Equal(all, text) || !b.again() {
		t.Errorf("read %d: %v", len(all), err)
	}
	b = &keptBody{ReadCloser: io.NopCloser(io.MultiReader(bytes.NewReader(text), strings.NewReader("more")))}
	if all, err := io.ReadAll(b); err != nil || len(all) != maxKept+4 || b.again() || b.kept != nil {
		t.Errorf("read %d: %v", len(all), err)
	}
}

func TestInternalCallsReachAFunctionByAnyPath(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	r.function(1, newFunction(answers("called")))
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full}, func(t *Table) {
		t.Workloads[0].Routes, t.Workloads[0].Patterns = nil, []string{"GET /orders/{id}"}
	})
	for path, want := range map[string]int{"/orders/7": 200, "/orders": 404, "/": 404} {
		if status, _, _ := r.get(t, path); status != want {
			t.Errorf("%s from outside: %d", path, status)
		}
		if status, _, body := r.do(t, http.MethodPost, r.InternalURL(orders)+path, nil); status != http.StatusOK || body != "called" {
			t.Errorf("%s from a fellow workload: %d %s", path, status, body)
		}
	}
}

func TestAHostThatKeepsNoPromiseIsABadGateway(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	var b serveFunc = func(*http.Request, invocation.Call) (*http.Response, invocation.Called) {
		return nil, invocation.Called{Failure: invocation.Exit}
	}
	r.SetInstances(orders, 1, []Endpoint{{ID: "f", Callee: &pointed{b}}})
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	if status, _, _ := r.get(t, "/"); status != http.StatusBadGateway {
		t.Errorf("%d", status)
	}
	if w := r.sum(1); w.Requests != 1 || w.Failed != 1 {
		t.Errorf("counted: %+v", w)
	}
}

// pointed is a callee that can be compared.
type pointed struct{ invocation.Callee }
