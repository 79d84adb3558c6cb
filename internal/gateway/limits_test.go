package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"titrate/internal/rollout"
)

func TestABodyThatIsNotHTTPIsTheClientsFault(t *testing.T) {
	t.Parallel()
	r, _ := one(t, Config{}, echo)
	c, in := r.dial(t)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusBadRequest {
		t.Fatalf("%v %v", res, err)
	}
	eventually(t, "it is counted", func() bool { return r.sum(1).Requests == 1 })
	if w := r.sum(1); w.Failed != 0 || w.Status[4] != 1 {
		t.Errorf("windows hold %+v", w)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	r, _ := one(t, Config{MaxInFlight: 1, MaxHeader: 4096, HeaderTimeout: 3 * time.Second, StallTimeout: 3 * time.Second},
		func(w http.ResponseWriter, req *http.Request) {
			io.Copy(io.Discard, req.Body)
			if req.URL.Path == "/wait" {
				<-release
			}
		})
	got := make(chan int)
	go func() {
		res, err := r.client.Get(r.url("/wait"))
		if err != nil {
			got <- 0
			return
		}
		res.Body.Close()
		got <- res.StatusCode
	}()
	eventually(t, "one is under way", func() bool { return r.Open(orders, 1) == 1 })
	if status, _, body := r.get(t, "/"); status != http.StatusServiceUnavailable || !strings.Contains(body, "too many") {
		t.Errorf("%d %s", status, body)
	}
	close(release)
	if status := <-got; status != 200 {
		t.Errorf("the first got %d", status)
	}
	eventually(t, "none is under way", func() bool { return r.inFlight.Load() == 0 })
	if status, _, _ := r.get(t, "/", "X-Long", strings.Repeat("x", 20_000)); status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a head of 20 kB got %d", status)
	}
	c, in := r.dial(t)
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost:")
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("a head that never ends: %v", err)
	}
	c, in = r.dial(t)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nha")
	if _, err := in.ReadByte(); err == nil {
		t.Error("a body that never ends got an answer")
	}
	eventually(t, "it is not the version's failure", func() bool { w := r.sum(1); return w.Aborted == 1 && w.Failed == 0 })
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r, b := one(t, Config{}, says("ok"))
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full}, func(tb *Table) { tb.Workloads[0].Routes = []string{"/orders"} })
	for name, c := range map[string]struct {
		head string
		want int
	}{
		"no route":     {"GET / HTTP/1.1\r\nHost: h\r\n", 404},
		"bad host":     {"GET /orders HTTP/1.1\r\nHost: a:b\r\n", 400},
		"no host":      {"GET /orders HTTP/1.1\r\n", 400},
		"connect":      {"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n", 405},
		"two lengths":  {"POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n", 400},
		"bad encoding": {"POST /orders HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n", 501},
		"odd upgrade":  {"GET /orders HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: \xff\r\n", 400},
		"http/2":       {"PRI * HTTP/2.0\r\n", 400},
		"works":        {"GET /orders/1 HTTP/1.1\r\nHost: h\r\n", 200},
		"absolute":     {"GET http://h/orders/1 HTTP/1.1\r\nHost: h\r\n", 200},
		"1.0":          {"GET /orders HTTP/1.0\r\nHost: h\r\n", 200},
	} {
		c1, in := r.dial(t)
		fmt.Fprint(c1, c.head+"\r\n")
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != c.want {
			t.Errorf("%s: %d %s", name, res.StatusCode, body)
		}
		if c.want == 404 && !strings.Contains(string(body), res.Header.Get(headerRequestID)) {
			t.Errorf("%s: %v %s", name, res.Header, body)
		}
	}
	if n := b.hits.Load(); n != 3 {
		t.Errorf("%d reached the version, not 3", n)
	}
}
