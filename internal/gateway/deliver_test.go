package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/invocation"
	"titrate/internal/rollout"
)

func TestR15_RequestsAndEventsAreOneSplit(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	fs := map[rollout.Version]*fakeCallee{1: newFunction(answers("one")), 2: newFunction(answers("two"))}
	for v, f := range fs {
		r.function(v, f)
	}
	r.split(t, map[rollout.Version]rollout.Weight{1: 7000, 2: 3000})
	const requests, events = 1000, 20_000
	var done sync.WaitGroup
	for range 4 {
		done.Go(func() {
			for range requests / 4 {
				if status, _, _ := r.get(t, "/"); status != http.StatusOK {
					t.Errorf("%d", status)
				}
			}
		})
		done.Go(func() {
			for range events / 4 {
				if d, err := r.Deliver(t.Context(), orders, Event{}); err != nil || d.Failed {
					t.Errorf("%+v %v", d, err)
				}
			}
		})
	}
	done.Wait()
	eventually(t, "all ended", func() bool { return r.inFlight.Load() == 0 })
	s, _ := r.Share(orders)
	if s.Requests != requests+events || s.Off {
		t.Errorf("share: %+v", s)
	}
	for _, o := range s.Versions {
		w, f := r.sum(o.Version), fs[o.Version]
		if o.Drawn != f.hits.Load() || f.real.Load() != f.hits.Load() || w.Requests != o.Drawn || inBuckets(w) != o.Drawn {
			t.Errorf("%s: drawn %d, called %d, counted %+v", o.Version, o.Drawn, f.hits.Load(), w)
		}
	}
	if k := fs[2].hits.Load(); k < 5700 || k > 6900 {
		t.Errorf("30 %% of 21,000 were %d", k)
	}
}

func inBuckets(w analysis.Window) (n uint64) {
	for _, c := range w.Latency.Count {
		n += c
	}
	return n
}

func TestADeliveredEventSaysWhatCameOfIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	var last invocation.Call
	does := func(_ context.Context, what string, c invocation.Call) (string, invocation.Called) {
		last = c
		return `{"of":"` + what + `"}`, invocation.Called{
			Failure: invocation.Failure(what), Type: "T", Message: "m", Cold: what == "", Tail: "lines",
		}
	}
	stable, candidate := newFunction(does), newFunction(does)
	r.function(1, stable)
	r.function(2, candidate)
	r.split(t, map[rollout.Version]rollout.Weight{1: 0, 2: rollout.Full, 3: -1}, func(t *Table) { t.Workloads[0].Stable = 1 })
	bad := func(answer []byte) bool { return strings.Contains(string(answer), "of") }
	for _, c := range []struct {
		name   string
		event  Event
		want   Delivered
		counts bool
	}{
		{"drawn", Event{ID: "e-1", ClientContext: "{}", Tail: true}, Delivered{Version: 2}, true},
		{"bad", Event{Bad: bad}, Delivered{Version: 2, Failed: true}, true},
		{"unhandled", Event{Payload: []byte("unhandled")}, Delivered{Version: 2, Failed: true}, true},
		{"timeout", Event{Payload: []byte("timeout"), Bad: bad}, Delivered{Version: 2, Failed: true}, true},
		{"memory", Event{Payload: []byte("memory")}, Delivered{Version: 2, Failed: true}, true},
		{"throttled", Event{Payload: []byte("throttled")}, Delivered{Version: 2}, true},
		{"redelivered", Event{Stable: true}, Delivered{Version: 1, Stable: true}, false},
		{"redelivered and bad", Event{Stable: true, Bad: bad}, Delivered{Version: 1, Stable: true, Failed: true}, false},
		{"probed", Event{Version: 2, Payload: []byte("unhandled")}, Delivered{Version: 2, Failed: true}, false},
		{"probed and throttled", Event{Version: 2, Payload: []byte("throttled")}, Delivered{Version: 2}, false},
		{"stable by name", Event{Version: 1}, Delivered{Version: 1, Stable: true}, false},
	} {
		d, err := r.Deliver(t.Context(), orders, c.event)
		what := string(c.event.Payload)
		c.want.Answer = []byte(`{"of":"` + what + `"}`)
		c.want.Called = invocation.Called{Failure: invocation.Failure(what), Type: "T", Message: "m", Cold: what == "", Tail: "lines"}
		if err != nil || fmt.Sprintf("%+v", d) != fmt.Sprintf("%+v", c.want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", c.name, err, d, c.want)
		}
		if last.Real != c.counts || last.ID == "" || last.Tail != c.event.Tail || last.ClientContext != c.event.ClientContext || c.event.ID != "" && last.ID != c.event.ID {
			t.Errorf("%s: it was called with %+v", c.name, last)
		}
	}
	w, s := r.sum(2), r.sum(1)
	if w.Requests != 5 || w.Failed != 4 || w.Timeouts != 1 || w.OOM != 1 || w.Throttles != 1 || w.ColdStarts != 2 || w.Status != [6]uint64{} || inBuckets(w) != 5 {
		t.Errorf("counted: %+v", w)
	}
	if s.Requests != 0 || s.ColdStarts != 0 {
		t.Errorf("what was not drawn is counted: %+v", s)
	}
	if sh, _ := r.Share(orders); sh.Requests != 6 {
		t.Errorf("share: %+v", sh)
	}
}

func TestAnEventThatReachesNoFunctionSaysWhy(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{MaxInFlight: 1})
	elsewhere := rollout.Key{App: "no", Env: "such", Workload: "one"}
	deliver := func(k rollout.Key, e Event) error {
		_, err := r.Deliver(t.Context(), k, e)
		return err
	}
	check := func(what string, k rollout.Key, e Event, want error) {
		t.Helper()
		if err := deliver(k, e); !errors.Is(err, want) || !strings.Contains(err.Error(), k.String()) {
			t.Errorf("%s: %v", what, err)
		}
	}
	check("no table", orders, Event{}, ErrNoWorkload)
	r.split(t, map[rollout.Version]rollout.Weight{1: -1})
	check("no traffic yet", orders, Event{}, ErrNotReady)
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	check("no workload", elsewhere, Event{}, ErrNoWorkload)
	check("nothing ready", orders, Event{}, ErrNotReady)
	check("nothing of it ready", orders, Event{Version: 1}, ErrNotReady)
	check("no version", orders, Event{Version: 9}, ErrNoVersion)
	check("no stable version", orders, Event{Stable: true}, ErrNoVersion)
	b := newBackend(t, "a", says("ok"))
	r.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	check("a service", orders, Event{}, ErrNotFunction)
	check("a version of a service", orders, Event{Version: 1}, ErrNotFunction)
	s, _ := r.Share(orders)
	if w := r.sum(1); w.Requests != 0 || b.hits.Load() != 0 || s.Versions[0].Unready != 1 || s.Versions[0].Previewed != 0 || s.Requests != 1 {
		t.Errorf("counted: %+v, %+v", w, s)
	}
	r.function(1, newFunction(func(context.Context, string, invocation.Call) (string, invocation.Called) {
		check("too many", orders, Event{}, ErrFull)
		return "", invocation.Called{}
	}))
	if err := deliver(orders, Event{}); err != nil || r.inFlight.Load() != 0 || r.Open(orders, 1) != 0 {
		t.Errorf("%v, %d under way", err, r.inFlight.Load())
	}
}

func TestR17_ADrainWaitsForEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	came, release := make(chan struct{}), make(chan struct{})
	r.function(1, newFunction(func(ctx context.Context, _ string, _ invocation.Call) (string, invocation.Called) {
		close(came)
		select {
		case <-release:
			return "done", invocation.Called{}
		case <-ctx.Done():
			return "", invocation.Called{Failure: invocation.Canceled}
		}
	}))
	r.function(2, newFunction(answers("two")))
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full, 2: 0})
	first := make(chan error, 1)
	go func() {
		d, err := r.Deliver(context.Background(), orders, Event{})
		if err == nil && (d.Version != 1 || string(d.Answer) != "done") {
			err = fmt.Errorf("%+v", d)
		}
		first <- err
	}()
	<-came
	r.split(t, map[rollout.Version]rollout.Weight{1: 0, 2: rollout.Full}, drainOf(time.Hour))
	if d, err := r.Deliver(t.Context(), orders, Event{}); err != nil || d.Version != 2 {
		t.Errorf("%+v %v", d, err)
	}
	if n := r.Open(orders, 1); n != 1 {
		t.Errorf("%d are open on the version that drains", n)
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if w := r.sum(1); w.Requests != 1 || w.Failed != 0 || r.Open(orders, 1) != 0 {
		t.Errorf("counted: %+v", w)
	}
}

func TestServeEndsWhenTheEventsUnderWayHave(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	came, release := make(chan struct{}), make(chan struct{})
	r.function(1, newFunction(func(context.Context, string, invocation.Call) (string, invocation.Called) {
		close(came)
		<-release
		return "", invocation.Called{}
	}))
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	ended := make(chan error, 1)
	go func() {
		_, err := r.Deliver(context.Background(), orders, Event{})
		ended <- err
	}()
	<-came
	r.stop()
	eventually(t, "it stops", r.stopping.Load)
	select {
	case <-r.done:
		t.Error("Serve has returned with an event under way")
	default:
	}
	if _, err := r.Deliver(t.Context(), orders, Event{}); !errors.Is(err, ErrNotReady) || !strings.Contains(err.Error(), "stops") {
		t.Errorf("another event: %v", err)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	<-r.done
	if w := r.sum(1); w.Requests != 1 {
		t.Errorf("counted: %+v", w)
	}
}

func TestAnEventWhoseCallerLeavesIsAborted(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	gone := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	r.function(1, newFunction(func(ctx context.Context, what string, _ invocation.Call) (string, invocation.Called) {
		if what != "odd" {
			cancel(gone)
			<-ctx.Done()
		}
		return "", invocation.Called{Failure: invocation.Canceled}
	}))
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	if d, err := r.Deliver(ctx, orders, Event{}); !errors.Is(err, gone) || d.Version != 1 {
		t.Errorf("%+v %v", d, err)
	}
	if _, err := r.Deliver(t.Context(), orders, Event{Payload: []byte("odd")}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if w := r.sum(1); w.Requests != 2 || w.Aborted != 2 || w.Failed != 0 {
		t.Errorf("counted: %+v", w)
	}
}

func TestWindowsOfVersionsWithTrafficCarryTheAgeOfTheirQueues(t *testing.T) {
	t.Parallel()
	g, at := stopped(t, Config{})
	g.SetInstances(orders, 2, []Endpoint{{ID: "b", Addr: "127.0.0.1:1"}})
	for i, age := range []time.Duration{0, time.Minute, time.Hour, -1, 0} {
		if i > 0 { // before anybody says anything it is 0
			g.SetQueueAge(orders, age)
		}
		for range 2 {
			*at = at.Add(time.Second)
			g.closeWindows(*at)
			ws := g.Windows(t.Context(), 0)
			if w := ws[len(ws)-2]; w.Version != 1 || w.QueueAge != max(age, 0) {
				t.Errorf("%s: window is %+v", age, w)
			}
			if w := ws[len(ws)-1]; w.Version != 2 || w.QueueAge != 0 {
				t.Errorf("a version without traffic: %+v", w)
			}
		}
	}
}

// seen is a version as those who asked it saw it.
type seen struct {
	requests, failed, timeouts, oom, throttles, cold uint64
	status                                           [6]uint64
}

// TestWindowsHoldWhatClientsAndDeliverersSaw has a function fail in every way while
// weights move, versions stop and drains cut: what the windows hold is what was seen
// from outside, each call once.
func TestWindowsHoldWhatClientsAndDeliverersSaw(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	kinds := append(slices.Repeat([]string{"ok", "ok", "cold", "bad", "timeout", "memory", "unhandled", "throttled"}, 8), "long")
	var stoppedNow sync.Map  // of the versions, those that take no calls
	var waiting atomic.Int64 // for their cut
	var mu sync.Mutex
	saw := map[rollout.Version]*seen{}
	begin := func(v rollout.Version) {
		mu.Lock()
		defer mu.Unlock()
		saw[v] = &seen{}
		r.function(v, newFunction(func(ctx context.Context, what string, _ invocation.Call) (string, invocation.Called) {
			if _, ok := stoppedNow.Load(v); ok {
				return "", invocation.Called{Failure: invocation.Stopped}
			}
			switch what {
			case "ok", "bad":
				return what, invocation.Called{}
			case "cold":
				return what, invocation.Called{Cold: true}
			case "long": // until it is cut, or the test lets it end
				waiting.Add(1)
				defer waiting.Add(-1)
				<-ctx.Done()
				return "", invocation.Called{Failure: invocation.Canceled}
			}
			return what, invocation.Called{Failure: invocation.Failure(what)}
		}))
	}
	for v := range rollout.Version(3) {
		begin(v + 1)
	}
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full}, drainOf(time.Millisecond))

	note := func(v rollout.Version, what string, event bool, status int) {
		mu.Lock()
		defer mu.Unlock()
		s := saw[v]
		if s == nil {
			t.Errorf("%s was answered by %s", what, v)
			return
		}
		if what == "throttled" {
			s.throttles++
			if event {
				return
			}
		}
		s.requests++
		if status > 0 {
			s.status[status/100]++
		}
		switch what {
		case "timeout":
			s.timeouts++
		case "memory":
			s.oom++
		case "cold":
			s.cold++
		}
		if what == "timeout" || what == "memory" || what == "unhandled" || what == "bad" && event {
			s.failed++
		}
	}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	var cutRequests, cutEvents, calls uint64
	each := func(call func(what string)) {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					call(kinds[rand.IntN(len(kinds))])
				}
			}
		})
	}
	for range 3 {
		each(func(what string) {
			res, err := r.client.Post(r.url("/"), "text/plain", strings.NewReader(what))
			if err != nil {
				t.Error(err)
				return
			}
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			v, _ := parseVersion(res.Header.Get(HeaderVersion))
			// Who cut it is not said. A short one is, too, when its version stops and drains
			// before it could be drawn again.
			cut := res.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(body), "cut")
			if what == "long" && !cut {
				t.Errorf("%s: %d %s", what, res.StatusCode, body)
			}
			mu.Lock()
			calls++
			if cut {
				cutRequests++
			}
			mu.Unlock()
			if v == 0 && !cut {
				t.Errorf("%s: %d %v %s", what, res.StatusCode, res.Header, body)
			}
			if !cut {
				note(v, what, false, res.StatusCode)
			}
		})
		each(func(what string) {
			d, err := r.Deliver(context.Background(), orders, Event{
				Payload: []byte(what), Bad: func(answer []byte) bool { return string(answer) == "bad" },
			})
			cut := errors.Is(err, ErrCut)
			if err != nil && !cut || what == "long" && !cut {
				t.Errorf("%s: %+v %v", what, d, err)
			}
			mu.Lock()
			calls++
			if cut {
				cutEvents++
			}
			mu.Unlock()
			if err != nil {
				return
			}
			note(d.Version, what, true, 0)
		})
	}
	for n := range 50 {
		on, off := rollout.Version(n%3+1), rollout.Version((n+2)%3+1)
		stoppedNow.Delete(on)
		w := rollout.Weight(n*1667) % (rollout.Full + 1)
		// Both ways of losing traffic: by weight, and by being stopped with some left.
		r.split(t, map[rollout.Version]rollout.Weight{on: rollout.Full - w, on%3 + 1: w, off: 0}, drainOf(time.Millisecond))
		if w < rollout.Full {
			stoppedNow.Store(on%3+1, true)
		}
		stoppedNow.Store(off, true)
		mu.Lock()
		before := calls
		mu.Unlock()
		more := func(than uint64) bool {
			mu.Lock()
			defer mu.Unlock()
			return calls > than
		}
		eventually(t, "some have ended", func() bool { return more(before+10) || waiting.Load() == 6 })
		if waiting.Load() == 6 { // a version that nobody waits on takes over, so that all are cut
			begin(rollout.Version(10 + n))
			r.split(t, map[rollout.Version]rollout.Weight{rollout.Version(10 + n): rollout.Full}, drainOf(time.Millisecond))
			eventually(t, "some were cut", func() bool { return more(before) })
		}
	}
	close(stop)
	var over atomic.Bool
	go func() { clients.Wait(); over.Store(true) }()
	fresh := rollout.Version(1000)
	eventually(t, "the last are cut", func() bool {
		fresh++
		begin(fresh)
		r.split(t, map[rollout.Version]rollout.Weight{fresh: rollout.Full}, drainOf(time.Millisecond))
		return over.Load()
	})
	eventually(t, "all ended", func() bool { return r.inFlight.Load() == 0 })
	var cut, cut503 uint64
	for v, s := range saw {
		w := r.sum(v)
		cut += w.Requests - s.requests
		cut503 += w.Status[5] - s.status[5]
		w.Status[5] = s.status[5]
		got := seen{s.requests, w.Failed, w.Timeouts, w.OOM, w.Throttles, w.ColdStarts, w.Status}
		if got != *s || w.Aborted != 0 || inBuckets(w) != w.Requests {
			t.Errorf("%s: windows hold %+v\nseen were %+v", v, w, *s)
		}
	}
	if cut != cutRequests+cutEvents || cut503 != cutRequests {
		t.Errorf("%d requests and %d events were cut, the windows hold %d and %d answers", cutRequests, cutEvents, cut, cut503)
	}
	if calls < 500 {
		t.Errorf("only %d calls", calls)
	}
}

func TestAnAnswerIsPassedOnAsItComes(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	r.function(1, newFunction(answers("one two")))
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	var said strings.Builder
	var by rollout.Version
	d, err := r.Deliver(t.Context(), orders, Event{To: func(v rollout.Version) io.Writer {
		by = v
		return &said
	}})
	if err != nil || by != 1 || said.String() != "onetwo" || d.Answer != nil || d.Failed {
		t.Errorf("%q by %v: %+v, %v", said.String(), by, d, err)
	}
	if w := r.sum(1); w.Requests != 1 || w.Failed != 0 {
		t.Errorf("counted: %+v", w)
	}
}

// busy takes a minute for what is written to it.
type busy struct{}

func (busy) Write(p []byte) (int, error) {
	<-time.After(time.Minute)
	return len(p), nil
}

func TestASlowReaderIsNotTheVersionsLatency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := slowly{Writer: busy{}}
		for range 2 {
			if n, err := s.Write([]byte("one")); n != 3 || err != nil {
				t.Error(n, err)
			}
		}
		if s.waited != 2*time.Minute {
			t.Error(s.waited)
		}
	})
}
