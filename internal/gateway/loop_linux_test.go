package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// raw is an instance that answers each request with the same bytes, in pieces, and closes
// the connection where it is told to.
func raw(t *testing.T, shut bool, pieces ...string) Endpoint {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				in := bufio.NewReader(c)
				for {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					for _, p := range pieces {
						if _, err := io.WriteString(c, p); err != nil {
							return
						}
					}
					if shut {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return Endpoint{ID: "raw", Addr: l.Addr().String()}
}

func (r *rig) movedConns() int64 { return r.movedTotal.Load() }

// ask sends bytes and returns all that comes until the connection is closed, or n answers.
func (r *rig) ask(t *testing.T, n int, method string, pieces ...string) (answers []string) {
	t.Helper()
	c, in := r.dial(t)
	defer c.Close()
	for _, p := range pieces {
		if _, err := io.WriteString(c, p); err != nil {
			break
		}
	}
	for range n {
		res, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return append(answers, err.Error())
		}
		body, err := io.ReadAll(res.Body)
		text := fmt.Sprintf("%d %s", res.StatusCode, body)
		if err != nil {
			text += " " + err.Error()
		}
		answers = append(answers, text)
		if res.Close {
			break
		}
	}
	return answers
}

func TestLoops_serveWhatIsPlainAndLeaveTheRest(t *testing.T) {
	t.Parallel()
	r, _ := one(t, Config{}, func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		fmt.Fprintf(w, "%s %s %s", req.Method, req.URL.Path, body)
	})
	for name, c := range map[string]struct {
		request, want string
		moved         bool
	}{
		"get":        {"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", "200 GET /a ", false},
		"post":       {"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nbeans", "200 POST /a beans", false},
		"escaped":    {"GET /a%20b HTTP/1.1\r\nHost: h\r\n\r\n", "200 GET /a b ", false},
		"no route":   {"GET /a HTTP/1.1\r\nHost: a:b\r\n\r\n", "400", false},
		"chunked":    {"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbeans\r\n0\r\n\r\n", "200 POST /a beans", true},
		"continue":   {"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n", "200 POST /a ", false},
		"1.0":        {"GET /a HTTP/1.0\r\nHost: h\r\n\r\n", "200 GET /a ", true},
		"absolute":   {"GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\n", "200 GET /a ", true},
		"preview":    {"GET /a HTTP/1.1\r\nHost: h\r\nTitrate-Version: v1\r\n\r\n", "200 GET /a ", true},
		"long head":  {"GET /a HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", bufferBytes) + "\r\n\r\n", "200 GET /a ", true},
		"long body":  {"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 20000), "200 POST /a xxx", true},
		"slow body":  {"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nbe", "", true},
		"half a one": {"GET /a HTTP/1.1\r\nHost:", "", false},
	} {
		before := r.movedConns()
		if c.want == "" {
			conn, _ := r.dial(t)
			_, _ = io.WriteString(conn, c.request)
			if c.moved {
				eventually(t, name+" is moved", func() bool { return r.movedConns() > before })
			}
			conn.Close()
			continue
		}
		got := r.ask(t, 1, "GET", c.request)
		if len(got) != 1 || !strings.HasPrefix(got[0], c.want) {
			t.Errorf("%s: %.80q, not %q", name, got, c.want)
		}
		if moved := r.movedConns() > before; moved != c.moved {
			t.Errorf("%s is moved: %v", name, moved)
		}
	}
}

func TestLoops_answerPipelinedRequestsInOrder(t *testing.T) {
	t.Parallel()
	r, _ := one(t, Config{}, func(w http.ResponseWriter, req *http.Request) { io.WriteString(w, req.URL.Path) })
	var sent strings.Builder
	for i := range 300 {
		if i%3 == 2 {
			fmt.Fprint(&sent, "GET /none HTTP/1.1\r\nHost: a:b\r\n\r\n")
			continue
		}
		fmt.Fprintf(&sent, "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i)
	}
	bad := r.ask(t, 3, "GET", sent.String())
	if len(bad) != 3 || bad[0] != "200 /0" || bad[1] != "200 /1" || !strings.HasPrefix(bad[2], "400") {
		t.Fatalf("%q", bad)
	}
	sent.Reset()
	for i := range 300 {
		fmt.Fprintf(&sent, "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i)
	}
	for i, got := range r.ask(t, 300, "GET", sent.String()) {
		if want := fmt.Sprintf("200 /%d", i); got != want {
			t.Fatalf("the answer %d is %q", i, got)
		}
	}
}

// TestLoops_readWhatComesInPieces splits a request, and an answer, at every byte.
func TestLoops_readWhatComesInPieces(t *testing.T) {
	t.Parallel()
	const request = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nbeans"
	r, b := one(t, Config{}, echo)
	want := r.ask(t, 1, "POST", request)
	for i := 1; i < len(request); i += 3 {
		c, in := r.dial(t)
		_, _ = io.WriteString(c, request[:i])
		r.flushed(t)
		_, _ = io.WriteString(c, request[i:])
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("split at %d: %v", i, err)
		}
		body, _ := io.ReadAll(res.Body)
		if got := fmt.Sprintf("%d %s", res.StatusCode, body); got != want[0] {
			t.Fatalf("split at %d: %q, not %q", i, got, want[0])
		}
		c.Close()
	}
	b.kill()
	for name, c := range map[string]struct {
		answer, method, want string
		shut                 bool
	}{
		"length":    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbeans", "GET", "200 beans", false},
		"chunks":    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nbe\r\n3\r\nans\r\n0\r\nX-Sum: 5\r\n\r\n", "GET", "200 beans", false},
		"to end":    {"HTTP/1.1 200 OK\r\n\r\nbeans", "GET", "200 beans", true},
		"1.0":       {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nbeans", "GET", "200 beans", true},
		"head":      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", "200 ", false},
		"none":      {"HTTP/1.1 204 No Content\r\n\r\n", "GET", "204 ", false},
		"unchanged": {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET", "304 ", false},
		"early":     {"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbeans", "GET", "103 ", false},
	} {
		for i := 1; i < len(c.answer); i += 3 {
			r.SetInstances(orders, 1, []Endpoint{raw(t, c.shut, c.answer[:i], c.answer[i:])})
			got := r.ask(t, 1, c.method, c.method+" / HTTP/1.1\r\nHost: h\r\n\r\n")
			if len(got) != 1 || got[0] != c.want {
				t.Fatalf("%s, split at %d: %q, not %q", name, i, got, c.want)
			}
		}
	}
}

// flushed waits until the loops have seen what was sent before.
func (r *rig) flushed(t *testing.T) {
	t.Helper()
	r.ask(t, 1, "GET", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n")
}

func TestLoops_passNoAnswerThatIsNone(t *testing.T) {
	t.Parallel()
	r, b := one(t, Config{}, echo)
	b.kill()
	var failed uint64
	for name, c := range map[string]struct {
		answer, want string
		shut         bool
	}{
		"garbage":     {"beans\r\n\r\n", "502", false},
		"nothing":     {"", "502", true},
		"half a head": {"HTTP/1.1 200 OK\r\nContent-", "502", true},
		"two lengths": {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", "502", false},
		"both":        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "502", false},
		"a tunnel":    {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "502", false},
		"a long head": {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", headBytes) + "\r\n\r\n", "502", false},
		"cut short":   {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbeans", "unexpected EOF", true},
		"bad chunk":   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbeans\r\nzz", "unexpected EOF", false},
		"cut chunk":   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbe", "unexpected EOF", true},
	} {
		r.SetInstances(orders, 1, []Endpoint{raw(t, c.shut, c.answer)})
		got := r.ask(t, 1, "GET", "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if len(got) != 1 || !strings.Contains(got[0], c.want) {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
		failed++
		eventually(t, name+" is counted", func() bool { w := r.sum(1); return w.Requests == failed && w.Failed == failed })
	}
	eventually(t, "nothing is under way", func() bool { return r.inFlight.Load() == 0 })
}

func TestLoops_neverTakeOneAnswerForAnother(t *testing.T) {
	t.Parallel()
	r, b := one(t, Config{}, echo)
	b.kill()
	r.SetInstances(orders, 1, []Endpoint{raw(t, false, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbeansHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")})
	for _, got := range r.ask(t, 20, "GET", strings.Repeat("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 20)) {
		if got != "200 beans" {
			t.Fatalf("%q", got)
		}
	}
}

// TestLoops_waitForWhoReadsSlowly has a version send far more than a client takes: it has to
// wait for the client, and the gateway keeps little of it.
func TestLoops_waitForWhoReadsSlowly(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	sent := 0
	piece := bytes.Repeat([]byte("x"), 64<<10)
	const pieces = 1024
	r, _ := one(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
		for range pieces {
			n, err := w.Write(piece)
			if err != nil {
				return
			}
			mu.Lock()
			sent += n
			mu.Unlock()
		}
	})
	c, in := r.dial(t)
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	last, calm := 0, 0
	eventually(t, "the version waits", func() bool {
		r.flushed(t)
		mu.Lock()
		defer mu.Unlock()
		if calm++; sent != last || sent == 0 {
			calm, last = 0, sent
		}
		return calm > 20
	})
	if last > len(piece)*pieces/2 {
		t.Errorf("%d bytes were taken from the version, and nobody read them", last)
	}
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil || n != int64(len(piece)*pieces) {
		t.Errorf("%d bytes came, %v", n, err)
	}
}

func TestLoops_takeNoRequestsWhoseAnswersNobodyReads(t *testing.T) {
	t.Parallel()
	answer := strings.Repeat("x", 8<<10)
	r, b := one(t, Config{}, says(answer))
	c, in := r.dial(t)
	const requests = 4000
	go func() { _, _ = io.WriteString(c, strings.Repeat("GET / HTTP/1.1\r\nHost: h\r\n\r\n", requests)) }()
	last, calm := uint64(0), 0
	eventually(t, "the version is asked no more", func() bool {
		r.flushed(t)
		now := b.hits.Load()
		if calm++; now != last || now == 0 {
			calm, last = 0, now
		}
		return calm > 20
	})
	if last == requests {
		t.Error("all were asked, and no answer was read")
	}
	for i := range requests {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("the answer %d: %v", i, err)
		}
		if n, err := io.Copy(io.Discard, res.Body); err != nil || n != int64(len(answer)) {
			t.Fatalf("the answer %d: %d bytes, %v", i, n, err)
		}
	}
}

// TestLoops_losesNothingToResets has clients and versions break off at random, and wants
// every request counted once and nothing left over.
func TestLoops_losesNothingToResets(t *testing.T) {
	t.Parallel()
	r, b := one(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
		switch rand.IntN(4) {
		case 0:
			panic(http.ErrAbortHandler)
		case 1:
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "half")
		default:
			io.WriteString(w, strings.Repeat("beans", rand.IntN(10_000)))
		}
	})
	b.server.ErrorLog = nil
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				c, in := r.dial(t)
				fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
				if rand.IntN(3) == 0 {
					if rand.IntN(2) == 0 {
						_ = c.(*net.TCPConn).SetLinger(0)
					}
					c.Close()
					continue
				}
				if res, err := http.ReadResponse(in, nil); err == nil {
					_, _ = io.CopyN(io.Discard, res.Body, int64(rand.IntN(20_000)))
				}
				c.Close()
			}
		})
	}
	all.Wait()
	calm := 0 // what the last clients have sent may be read only now
	eventually(t, "nothing is under way", func() bool {
		if calm++; r.inFlight.Load() != 0 || r.Open(orders, 1) != 0 {
			calm = 0
		}
		return calm > 20
	})
	s, _ := r.Share(orders)
	if w := r.sum(1); w.Requests != s.Requests {
		t.Errorf("%d were drawn and %d counted", s.Requests, w.Requests)
	}
	eventually(t, "no connection is left", func() bool { return r.looped.Load() == 0 })
}

func TestLoops_closeWhatIsIdle(t *testing.T) {
	t.Parallel()
	r, _ := one(t, Config{IdleTimeout: time.Second, HeaderTimeout: time.Second}, says("ok"))
	for name, sent := range map[string]string{"nothing sent": "", "half a head": "GET / HT", "one request": "GET / HTTP/1.1\r\nHost: h\r\n\r\n"} {
		c, in := r.dial(t)
		_, _ = io.WriteString(c, sent)
		if _, err := io.Copy(io.Discard, in); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoops_tryAnotherInstanceOfTheVersion(t *testing.T) {
	t.Parallel()
	r, b := one(t, Config{}, says("ok"))
	gone := newBackend(t, "gone", says("gone"))
	gone.kill()
	r.SetInstances(orders, 1, []Endpoint{b.Endpoint, gone.Endpoint})
	for range 50 {
		if status, _, body := r.get(t, "/"); status != 200 || body != "ok" {
			t.Fatalf("%d %s", status, body)
		}
	}
	r.SetInstances(orders, 1, []Endpoint{gone.Endpoint})
	if status, version, _ := r.get(t, "/"); status != http.StatusBadGateway || version != "v1" {
		t.Errorf("%d by %s", status, version)
	}
	if w := r.sum(1); w.Failed != 1 {
		t.Errorf("%d have failed", w.Failed)
	}
}

func TestLoops_endCleanly(t *testing.T) {
	t.Parallel()
	r, _ := one(t, Config{}, says("ok"))
	c, in := r.dial(t)
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if _, err := http.ReadResponse(in, nil); err != nil {
		t.Fatal(err)
	}
	r.stop()
	<-r.done
	if _, err := io.Copy(io.Discard, in); err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("an idle connection ended with %v", err)
	}
}
