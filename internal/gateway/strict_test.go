package gateway

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"titrate/internal/rollout"
)

// movedFirst is a request that takes its connection to net/http.
const movedFirst = "POST /first HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbeans\r\n0\r\n\r\n"

// TestStrict_aMovedConnectionRefusesWhatALoopRefuses: what comes before is answered, and
// nothing of what comes behind reaches a version.
func TestStrict_aMovedConnectionRefusesWhatALoopRefuses(t *testing.T) {
	t.Parallel()
	var seen atomic.Int64
	r, _ := one(t, Config{}, func(w http.ResponseWriter, req *http.Request) {
		if body, err := io.ReadAll(req.Body); err == nil {
			seen.Add(1)
			fmt.Fprintf(w, "%s %s", req.URL.Path, body)
		}
	})
	const post = "POST /second HTTP/1.1\r\nHost: h\r\n"
	for name, second := range map[string]string{
		"CL.TE":           post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"CL.CL":           post + "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
		"obs-fold":        post + "X: 1\r\n y\r\n\r\n",
		"bare LF":         "GET /second HTTP/1.1\nHost: h\n\n",
		"space and colon": post + "X : 1\r\n\r\n",
		"two hosts":       post + "Host: g\r\n\r\n",
		"TE in 1.0":       "POST /second HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"signed length":   post + "Content-Length: +4\r\n\r\nbean",
		"NUL":             post + "X: \x00\r\n\r\n",
		"framing option":  post + "Connection: content-length\r\nContent-Length: 0\r\n\r\n",
	} {
		before := seen.Load()
		got := r.ask(t, 3, "POST", movedFirst, second+"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
		if len(got) != 2 || got[0] != "200 /first beans" || !strings.HasPrefix(got[1], "400") {
			t.Errorf("%s: %q", name, got)
		}
		if n := seen.Load() - before; n != 1 {
			t.Errorf("%s: %d requests reached the version", name, n)
		}
	}
	for name, body := range map[string]string{
		"LF":             "5\nbeans\r\n0\r\n\r\n",
		"signed":         "+5\r\nbeans\r\n0\r\n\r\n",
		"0x":             "0x5\r\nbeans\r\n0\r\n\r\n",
		"space":          "5 \r\nbeans\r\n0\r\n\r\n",
		"too long":       "5\r\nbeansX\r\n0\r\n\r\n",
		"too many":       "00000000000000000005\r\nbeans\r\n0\r\n\r\n",
		"extension":      "5;\x00\r\nbeans\r\n0\r\n\r\n",
		"LF behind data": "5\r\nbeans\n0\r\n\r\n",
		"in the second":  "5\r\nbeans\r\nX\r\n\r\n",
	} {
		before := seen.Load()
		got := r.ask(t, 3, "POST", movedFirst, post+"Transfer-Encoding: chunked\r\n\r\n"+body+"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
		if len(got) < 2 || got[0] != "200 /first beans" || !strings.HasPrefix(got[1], "400") {
			t.Errorf("%s: %q", name, got)
		}
		if n := seen.Load() - before; n != 1 {
			t.Errorf("%s: %d requests reached the version", name, n)
		}
	}
}

// TestStrict_letsThroughWhatIsRight byte for byte, wherever it is cut, and what follows an
// upgrade as it is.
func TestStrict_letsThroughWhatIsRight(t *testing.T) {
	t.Parallel()
	const right = movedFirst + "GET /a HTTP/1.1\r\nHost: h\r\n\r\n" +
		"PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nbeans" +
		"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n0\r\nT: 1\r\n\r\n" +
		"GET /d HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n" + "GET /e HTTP/1.0\r\n\r\n"
	on, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer on.Close()
	through := func(size int, tunnel bool, pieces ...string) string {
		t.Helper()
		c, err := net.Dial("tcp", on.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		in, err := on.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		go func() {
			defer c.Close()
			for _, p := range pieces[1:] {
				_, _ = io.WriteString(c, p)
			}
		}()
		s := newStrict(in, []byte(pieces[0]), Config{MaxHeader: 64 << 10})
		var out bytes.Buffer
		for b := make([]byte, size); ; {
			n, err := s.Read(b)
			out.Write(b[:n])
			if err != nil {
				return out.String()
			}
			if tunnel && strings.HasSuffix(out.String(), "Upgrade: websocket\r\n\r\n") {
				var one [1]byte // as net/http looks whether the client is there
				if n, _ := s.Read(one[:]); n == 1 {
					out.Write(one[:])
				}
				s.tunnel()
			}
		}
	}
	for at := range len(right) {
		for _, size := range []int{2, 7, 4096} {
			if got := through(size, false, right[:at], right[at:]); got != right {
				t.Fatalf("cut at %d, read by %d: %q", at, size, got)
			}
		}
	}
	const upgrade = "GET /d HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
	for at := range len(upgrade) + 5 {
		all := upgrade + "\x81\x00\x00no HTTP at all"
		if got := through(1, true, all[:at], all[at:]); got != all {
			t.Fatalf("cut at %d: %q", at, got)
		}
	}
}

// TestStrict_overTLSToo and HTTP on the port of TLS is told so.
func TestStrict_overTLSToo(t *testing.T) {
	t.Parallel()
	r := newSecureRig(t)
	b := newBackend(t, "a", func(w http.ResponseWriter, req *http.Request) { fmt.Fprint(w, req.Header.Get("X-Forwarded-Proto")) })
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	r.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	for _, proto := range []string{"http/1.1", ""} {
		cfg := r.h1.Transport.(*http.Transport).TLSClientConfig.Clone()
		if cfg.NextProtos = []string{proto}; proto == "" {
			cfg.NextProtos = nil
		}
		cfg.ServerName = "example.com"
		c, err := tls.Dial("tcp", r.secure, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		in := bufio.NewReader(c)
		for _, one := range []struct {
			request string
			status  int
			body    string
		}{
			{"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", 200, "https"},
			{"POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 400, ""},
		} {
			fmt.Fprint(c, one.request)
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, _ := io.ReadAll(res.Body); res.StatusCode != one.status || one.body != "" && string(body) != one.body {
				t.Errorf("%q: %d %s", one.request, res.StatusCode, body)
			}
		}
	}
	res, err := http.Get("http://" + r.secure + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); res.StatusCode != 400 || err != nil || !strings.Contains(string(body), "https://") {
		t.Errorf("%d %s %v", res.StatusCode, body, err)
	}
}

// TestHalfClosed_aClientThatSendsNoMoreIsAnswered by both fronts, a stream too; one that
// has left is found out.
func TestHalfClosed_aClientThatSendsNoMoreIsAnswered(t *testing.T) {
	t.Parallel()
	release, left := make(chan struct{}), make(chan struct{}, 8)
	r, _ := one(t, Config{HalfClosed: time.Minute}, func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		if req.URL.Path == "/stream" {
			fmt.Fprint(w, "begins ")
			_ = http.NewResponseController(w).Flush()
		}
		<-release
		fmt.Fprint(w, "beans")
	})
	asks := map[string]string{
		"loop":        "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
		"loop stream": "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n",
		"moved":       "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"moved 1.0":   "GET /a HTTP/1.0\r\nHost: h\r\n\r\n",
		"moved strea": "POST /stream HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	}
	conns := map[string]*bufio.Reader{}
	for name, ask := range asks {
		c, in := r.dial(t)
		if _, err := io.WriteString(c, ask); err != nil {
			t.Fatal(err)
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		conns[name] = in
	}
	eventually(t, "all are under way", func() bool { return r.inFlight.Load() == int64(len(asks)) })
	close(release)
	for name, in := range conns {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if body, err := io.ReadAll(res.Body); err != nil || !strings.HasSuffix(string(body), "beans") {
			t.Errorf("%s: %q %v", name, body, err)
		}
		if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
			t.Errorf("%s: it is not closed after its answer: %q %v", name, rest, err)
		}
	}
	if w := r.sum(1); w.Aborted != 0 || w.Status[2] != uint64(len(asks)) {
		t.Errorf("counted %+v", w)
	}

	gone, _ := one(t, Config{HalfClosed: time.Millisecond}, func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		<-req.Context().Done()
		left <- struct{}{}
	})
	for _, name := range []string{"loop", "moved"} {
		c, _ := gone.dial(t)
		if _, err := io.WriteString(c, asks[name]); err != nil {
			t.Fatal(err)
		}
		eventually(t, name+" is under way", func() bool { return gone.inFlight.Load() == 1 })
		c.Close()
		<-left // its version hears of it
		eventually(t, name+" is over", func() bool { return gone.inFlight.Load() == 0 })
	}
	if w := gone.sum(1); w.Aborted != 2 || w.Failed != 0 {
		t.Errorf("counted %+v", w)
	}
}
