package gateway

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"titrate/internal/rollout"
)

// lines is where an access log is written to.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

// read ends the gateway, which writes what is left, and returns the lines by their path.
func (l *lines) read(t *testing.T, r *rig) map[string]map[string]any {
	t.Helper()
	r.client.CloseIdleConnections()
	r.stop()
	<-r.done
	out := map[string]map[string]any{}
	for s := bufio.NewScanner(&l.all); s.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatalf("%q: %v", s.Text(), err)
		}
		out[line["url.path"].(string)] = line
	}
	return out
}

func TestAccessLog_hasALineForEachRequest(t *testing.T) {
	t.Parallel()
	for front, moves := range fronts() {
		t.Run(front, func(t *testing.T) {
			t.Parallel()
			to := &lines{}
			r := newRig(t, Config{AccessLog: AccessLog{To: to, Share: 1}})
			r.version(t, 1, func(w http.ResponseWriter, q *http.Request) {
				switch q.URL.Path {
				case "/orders/17":
					w.WriteHeader(http.StatusCreated)
					io.WriteString(w, "12345678")
				case "/gone":
					panic(http.ErrAbortHandler)
				}
			})
			r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full}, func(tb *Table) { tb.Workloads[0].Routes = []string{"/orders", "/gone"} })
			app := append([]string{"Host", "app.test", "User-Agent", "some \"one\"", "X-Request-Id", "mine", "Traceparent", someTrace}, moves...)
			r.do(t, "POST", r.url("/orders/17?token=secret"), strings.NewReader("abc"), app...)
			r.do(t, "POST", r.url("/gone"), strings.NewReader("abc"), app...)
			r.do(t, "GET", r.url("/elsewhere"), nil, append(moves, "Host", "other.test")...)
			r.SetInstances(orders, 1, nil)
			r.do(t, "GET", r.url("/orders"), nil, moves...)
			all := to.read(t, r)
			for name, want := range map[string]any{
				"http.request.method": "POST", "url.scheme": "http", "server.address": "app.test", "http.response.status_code": 201.,
				"http.route": "/orders/{id}", "http.request.body.size": 3., "http.response.body.size": 8., "network.peer.address": "127.0.0.1",
				"network.protocol.version": "1.1", "user_agent.original": "some \"one\"", "trace_id": someTrace[3:35],
				"service.namespace": "cofe", "service.name": "orders", "service.version": "v1", "service.instance.id": "v1", "deployment.environment.name": "production",
			} {
				if got := all["/orders/17"][name]; got != want {
					t.Errorf("%s is %v, not %v", name, got, want)
				}
			}
			if took, _ := all["/orders/17"]["http.server.request.duration"].(float64); took <= 0 || took > 60 {
				t.Errorf("it took %v s", took)
			}
			if strings.Contains(to.all.String(), "secret") {
				t.Error("a query is logged")
			}
			if got := all["/gone"]["error.type"]; got != "broken" {
				t.Errorf("a version that breaks off is logged as %v", got)
			}
			if got := all["/orders"]; got["error.type"] != "unready" || got["http.response.status_code"] != 503. || got["service.version"] != "v1" {
				t.Errorf("a version without an instance: %v", got)
			}
			if got := all["/elsewhere"]; got["error.type"] != "refused" || got["http.response.status_code"] != 404. || got["service.name"] != nil {
				t.Errorf("what no workload is asked: %v", got)
			}
		})
	}
}

func TestAccessLog_isOffWhereNobodyAsksForIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	if r.access.wants() {
		t.Error("it is on")
	}
	if _, err := New(Config{Epoch: "x", AccessLog: AccessLog{To: io.Discard}}); err == nil {
		t.Error("a log of nothing is taken")
	}
}

func TestAccessLog_logsTheShareThatIsAskedFor(t *testing.T) {
	t.Parallel()
	l := newAccessLog(AccessLog{To: io.Discard, Share: 0.25}, nil)
	n := 0
	for range 100_000 {
		if l.wants() {
			n++
		}
	}
	if n < 24_000 || n > 26_000 { // seven standard deviations
		t.Errorf("%d of 100,000", n)
	}
}

// stuck is a writer that does not return until it is let go.
type stuck struct {
	entered chan struct{}
	letGo   chan struct{}
	once    sync.Once
}

func (s *stuck) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.entered) })
	<-s.letGo
	return len(p), nil
}

func TestAccessLog_neverHoldsUpARequestAndCountsWhatItDrops(t *testing.T) {
	t.Parallel()
	s := &stuck{entered: make(chan struct{}), letGo: make(chan struct{})}
	r := newRig(t, Config{AccessLog: AccessLog{To: s, Share: 1}})
	t.Cleanup(func() { close(s.letGo) }) // before the rig ends
	r.version(t, 1, says("x"))
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	r.get(t, "/")
	<-s.entered
	for range 100 {
		r.access.add(access{})
	}
	for len(r.access.queue) < accessQueue {
		r.access.add(access{})
	}
	const more = 7
	for range more {
		if status, _, body := r.get(t, "/"); status != http.StatusOK || body != "x" {
			t.Fatal(status, body)
		}
	}
	if got := total(r.scrape(t)["titrate_access_log_lines_total"], "outcome", "dropped"); got != more {
		t.Errorf("%v lines were dropped, not %d", got, more)
	}
}

// failing is a disk that is full.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestAccessLog_countsWhatCannotBeWritten(t *testing.T) {
	t.Parallel()
	to := &lines{}
	r := newRig(t, Config{AccessLog: AccessLog{To: failing{}, Share: 1}})
	r.version(t, 1, says("x"))
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	for range 5 {
		r.get(t, "/")
	}
	to.read(t, r)
	if got := r.access.dropped.Load(); got != 5 || r.access.written.Load() != 0 {
		t.Errorf("%d lines are dropped, not 5", got)
	}
}

func TestAccessLog_writesWholeLines(t *testing.T) {
	t.Parallel()
	pieces := &wholeLines{t: t}
	l := newAccessLog(AccessLog{To: pieces, Share: 1}, nil)
	ctx := t.Context()
	done := make(chan struct{})
	go func() { defer close(done); l.run(ctx) }()
	for range 3000 {
		l.add(access{at: time.Unix(1, 0), asked: asked{"GET", "/" + strings.Repeat("x", 100)}})
	}
	eventually(t, "all are written", func() bool { return l.written.Load() == 3000 })
	t.Cleanup(func() { <-done })
}

type wholeLines struct{ t *testing.T }

func (w *wholeLines) Write(p []byte) (int, error) {
	if len(p) == 0 || p[0] != '{' || p[len(p)-1] != '\n' {
		w.t.Errorf("%.20q … is no whole line", p)
	}
	return len(p), nil
}
