package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"titrate/internal/invocation"
	"titrate/internal/rollout"
)

// The holes that were found in the loops, each with what went through it.

// pouring is a callee whose answers are a stream.
type pouring func(r *http.Request) (status int, length int64, body io.ReadCloser)

func (c *pouring) Serve(r *http.Request, _ invocation.Call) (*http.Response, invocation.Called) {
	status, length, body := (*c)(r)
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: body, ContentLength: length}, invocation.Called{}
}

func (c *pouring) Begin(r *http.Request, of invocation.Call, then func(*http.Response, invocation.Called)) {
	go func() { then(c.Serve(r, of)) }()
}

func (c *pouring) Invoke(context.Context, []byte, invocation.Call) ([]byte, invocation.Called) {
	return nil, invocation.Called{}
}

func poured(t *testing.T, c Config, f pouring) *rig {
	t.Helper()
	r, b := one(t, c, echo)
	b.kill()
	r.SetInstances(orders, 1, []Endpoint{{ID: "f", Callee: &f}})
	return r
}

func TestHole_anEmptyContentType(t *testing.T) {
	t.Parallel()
	r, b := one(t, Config{}, echo)
	b.kill()
	r.SetInstances(orders, 1, []Endpoint{raw(t, false, "HTTP/1.1 200 OK\r\nContent-Type:\r\nContent-Length: 2\r\n\r\nhi")})
	if status, _, body := r.get(t, "/"); status != 200 || body != "hi" {
		t.Errorf("%d %s", status, body)
	}
}

func TestHole_aFaultOfOneConnectionEndsNoOther(t *testing.T) {
	t.Parallel()
	l, err := newLoop(&Gateway{log: slog.New(slog.DiscardHandler)}, 0)
	if err != nil {
		t.Fatal(err)
	}
	go l.run()
	done := make(chan struct{})
	l.post(func() { panic("beans") })
	l.post(func() { close(done); l.stop = true })
	<-done
	<-l.ended
}

func TestHole_anAnswerBehindTheBuffer(t *testing.T) {
	t.Parallel()
	r, b := one(t, Config{}, echo)
	b.kill()
	head := "HTTP/1.1 200 OK\r\nContent-Length: "
	n := bufferBytes - len(head) - len("16000\r\n\r\n")
	first := fmt.Sprintf("%s%d\r\n\r\n%s", head, n, strings.Repeat("a", n))
	if len(first) != bufferBytes {
		t.Fatal(len(first))
	}
	r.SetInstances(orders, 1, []Endpoint{raw(t, false, first+"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL")})
	for range 8 {
		if _, _, body := r.get(t, "/"); len(body) != n {
			t.Fatalf("%.20q of %d bytes", body, len(body))
		}
	}
}

// TestHole_theTailOfAnAnswer has clients begin to read late: what the version has said long
// ago must be waited for, whatever ends the connection.
func TestHole_theTailOfAnAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header string
		stop   bool
	}{"the connection ends": {"Connection: close\r\n", false}, "the gateway ends": {"", true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := one(t, Config{}, func(w http.ResponseWriter, req *http.Request) {
				n, _ := strconv.Atoi(req.URL.RawQuery)
				w.Header().Set("Content-Length", strconv.Itoa(n))
				_, _ = w.Write(make([]byte, n))
			})
			dial := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
				return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
			}}
			read := make(chan struct{})
			var all sync.WaitGroup
			for i := range 60 { // about as much as fits into the sockets' buffers
				size := 2_795_000 + i*700
				conn, err := dial.DialContext(t.Context(), "tcp", r.public)
				if err != nil {
					t.Fatal(err)
				}
				all.Go(func() {
					defer conn.Close()
					fmt.Fprintf(conn, "GET /?%d HTTP/1.1\r\nHost: x\r\n%s\r\n", size, c.header)
					<-read
					res, err := http.ReadResponse(bufio.NewReader(conn), nil)
					if err != nil {
						t.Errorf("%d: %v", size, err)
						return
					}
					if n, err := io.Copy(io.Discard, res.Body); err != nil || n != int64(size) {
						t.Errorf("%d of %d: %v", n, size, err)
					}
				})
			}
			// What this test is about is time: longer than a connection lingers.
			late := time.NewTimer(lingers + time.Second)
			defer late.Stop()
			if c.stop {
				eventually(t, "all are under way", func() bool { s, _ := r.Share(orders); return s.Requests == 60 })
				r.stop()
			}
			<-late.C
			close(read)
			all.Wait()
		})
	}
}

func TestHole_aStreamThatNobodyHears(t *testing.T) {
	t.Parallel()
	var ended atomic.Int64
	r := poured(t, Config{}, func(*http.Request) (int, int64, io.ReadCloser) {
		pr, pw := io.Pipe()
		go func() {
			defer ended.Add(1)
			for {
				if _, err := io.WriteString(pw, "piece"); err != nil {
					return
				}
			}
		}()
		return 200, -1, pr
	})
	for range 5 {
		if status, _, _ := r.do(t, http.MethodHead, r.url("/"), nil); status != 200 {
			t.Errorf("%d", status)
		}
	}
	eventually(t, "all streams have ended", func() bool { return ended.Load() == 5 })
}

func TestHole_silenceAfterAStall(t *testing.T) {
	t.Parallel()
	const stall = 500 * time.Millisecond
	large := strings.Repeat("x", 8<<20)
	r := poured(t, Config{StallTimeout: stall}, func(*http.Request) (int, int64, io.ReadCloser) {
		pr, pw := io.Pipe()
		go func() {
			_, _ = io.WriteString(pw, large)
			quiet := time.NewTimer(3 * stall)
			defer quiet.Stop()
			<-quiet.C
			_, _ = io.WriteString(pw, "the end")
			pw.Close()
		}()
		return 200, -1, pr
	})
	c, in := r.dial(t)
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	stalled := time.NewTimer(stall / 2)
	defer stalled.Stop()
	<-stalled.C
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || !strings.HasSuffix(string(body), "the end") {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}

func TestHole_anAnswerOfAFunctionThatIsNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		length int64
		want   string
	}{"101": {101, 1, "502"}, "100": {100, 1, "502"}, "too long": {200, 3, "unexpected EOF"}, "too short": {200, 100_000, "unexpected EOF"}, "whole": {200, 5, "200 beans"}} {
		r := poured(t, Config{}, func(*http.Request) (int, int64, io.ReadCloser) {
			return c.status, c.length, io.NopCloser(strings.NewReader("beans"))
		})
		got := r.ask(t, 1, "GET", "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if name == "too long" { // a short answer is read before it is sent, and counted anew
			c.want = "200 beans"
		}
		if len(got) != 1 || !strings.Contains(got[0], c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestHole_largeAndManyFields(t *testing.T) {
	t.Parallel()
	r, _ := one(t, Config{}, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/big" {
			w.Header().Set("X-Big", strings.Repeat("a", 100<<10))
		}
		for i := range 500 {
			w.Header().Add("X-Many", strconv.Itoa(i))
		}
	})
	for _, path := range []string{"/big", "/many", "/?" + strings.Repeat("q", 9<<10), "/?" + strings.Repeat("q", 30<<10)} {
		if status, _, body := r.get(t, path); status != 200 {
			t.Errorf("%.6s: %d %s", path, status, body)
		}
	}
}

func TestHole_theTimeOfWhatCannotBeReached(t *testing.T) {
	t.Parallel()
	r, b := one(t, Config{}, echo)
	b.kill()
	r.SetInstances(orders, 1, []Endpoint{{ID: "x", Addr: "255.255.255.255:80"}})
	if status, _, _ := r.get(t, "/"); status != http.StatusBadGateway {
		t.Errorf("%d", status)
	}
	if at := r.sum(1).Latency.Bucket; len(at) != 1 || int(at[0]) > bucketOf(time.Minute) {
		t.Errorf("%v", at)
	}
}

// TestHole_whoEndsACall has functions answer, clients leave and versions be cut in the same
// moments: each request is ended once, by the loop or by who answers it.
func TestHole_whoEndsACall(t *testing.T) {
	t.Parallel()
	r := poured(t, Config{}, func(*http.Request) (int, int64, io.ReadCloser) {
		return 200, 5, io.NopCloser(strings.NewReader("beans"))
	})
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for i := range 300 {
				c, in := r.dial(t)
				fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n")
				if i%2 == 0 {
					_ = c.(*net.TCPConn).SetLinger(0)
				} else if res, err := http.ReadResponse(in, nil); err == nil {
					_, _ = io.Copy(io.Discard, res.Body)
				}
				c.Close()
			}
		})
	}
	cutting := make(chan struct{})
	go func() {
		defer close(cutting)
		for range 2000 {
			for _, ticket := range r.fleetOf(1).open.list() {
				ticket.cut()
			}
		}
	}()
	all.Wait()
	<-cutting
	calm := 0
	eventually(t, "nothing is under way", func() bool {
		if calm++; r.inFlight.Load() != 0 || r.Open(orders, 1) != 0 || r.looped.Load() != 0 {
			calm = 0
		}
		return calm > 20
	})
	s, _ := r.Share(orders)
	if w := r.sum(1); w.Requests != s.Requests {
		t.Errorf("%d were drawn and %d counted", s.Requests, w.Requests)
	}
}

func (r *rig) fleetOf(v rollout.Version) *fleet { return r.known(orders, v) }

// TestHole_aCallIsEndedOnce is the moment that the test before may miss: who comes first ends
// the request, and the other learns of it.
func TestHole_aCallIsEndedOnce(t *testing.T) {
	t.Parallel()
	k := &call{}
	x := &passage{c: &client{}, calling: k}
	for range 2 { // a client that has gone may be seen twice
		if !x.ends() {
			t.Error("the loop may not end a call that has not answered")
		}
	}
	if x.say(k, functionAnswer{}) {
		t.Error("a call answers what the loop has ended")
	}
	k = &call{}
	k.turn.Store(callsTurn)
	if x.calling = k; x.ends() || !x.answering() || !x.c.missed.Load() {
		t.Error("the loop ends what is being answered")
	}
}

// TestLoop_hearsOfAllThatIsPosted, also while it takes what was posted before: else the next
// answer of a function waits for the next sweep.
func TestLoop_hearsOfAllThatIsPosted(t *testing.T) {
	t.Parallel()
	l, err := newLoop(&Gateway{log: slog.New(slog.DiscardHandler)}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.closeOwn()
	var posts sync.WaitGroup
	for range 4 {
		posts.Go(func() {
			for range 50_000 {
				l.post(func() {})
			}
		})
	}
	all := make(chan struct{})
	go func() { posts.Wait(); close(all) }()
	for done := false; !done; {
		select {
		case <-all:
			done = true
		default:
		}
		l.takePosted()
		l.mu.Lock()
		deaf := l.woken && len(l.posted) == 0
		l.mu.Unlock()
		if deaf {
			<-all
			t.Fatal("nothing is posted, and what will be wakes nobody")
		}
	}
}
