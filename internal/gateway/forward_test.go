package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"titrate/internal/rollout"
)

// one is a rig with one version on one backend.
func one(t *testing.T, c Config, h http.HandlerFunc) (*rig, *backend) {
	t.Helper()
	r := newRig(t, c)
	b := newBackend(t, "a", h)
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	r.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	return r, b
}

// dial opens a connection to the public side for a conversation by hand.
func (r *rig) dial(t *testing.T) (net.Conn, *bufio.Reader) {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", r.public)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

func echo(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	n, err := io.Copy(h, r.Body)
	fmt.Fprintf(w, "%d %x %v", n, h.Sum(nil), err)
}

func TestWhatBothSidesAreTold(t *testing.T) {
	t.Parallel()
	var got http.Header
	var host, uri string
	r, _ := one(t, Config{}, func(w http.ResponseWriter, req *http.Request) {
		got, host, uri = req.Header.Clone(), req.Host, req.RequestURI
		w.Header().Set(HeaderVersion, "v99")
		w.Header().Set("X-Own", "1")
	})
	c, in := r.dial(t)
	fmt.Fprint(c, "GET /a%2Fb//c/?x=1;y&titrate_preview=zz&%zz HTTP/1.1\r\nHost: shop.example\r\n")
	for k, v := range map[string]string{
		"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil", "Forwarded": "for=6.6.6.6",
		"X_Forwarded_For": "6.6.6.6", "x_real-ip": "6.6.6.6", "X-Real-IP": "6.6.6.6", "X-Forwarded-Port": "1", "X-Original-URL": "/admin", "X_Own": "1",
		"Connection": "X-Hop", "X-Hop": "1", HeaderVersion: "v1", HeaderPreview: "",
		"Cookie": "a=1; titrate_preview=zz; b=2", headerRequestID: "mine-1",
	} {
		fmt.Fprintf(c, "%s: %s\r\n", k, v)
	}
	fmt.Fprint(c, "\r\n")
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	for k, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "shop.example", "Forwarded": "",
		"X_Forwarded_For": "", "X_real-Ip": "", "X-Real-Ip": "", "X-Forwarded-Port": "", "X-Original-Url": "", "X_Own": "1",
		"X-Hop": "", HeaderVersion: "", HeaderPreview: "", "Cookie": "a=1; b=2", headerRequestID: "mine-1", "Via": via,
	} {
		if g := got.Get(k); g != want {
			t.Errorf("the version was told %s: %q, not %q", k, g, want)
		}
	}
	if host != "shop.example" || uri != "/a%2Fb//c/?x=1;y&%zz" {
		t.Errorf("the version was asked for %s%s", host, uri)
	}
	for k, want := range map[string]string{HeaderVersion: "v1", headerRequestID: "mine-1", "Via": via, "X-Own": "1"} {
		if g := res.Header.Get(k); g != want {
			t.Errorf("the client was told %s: %q, not %q", k, g, want)
		}
	}
}

func TestRequestIDsAreMadeWhereThereIsNone(t *testing.T) {
	t.Parallel()
	r, _ := one(t, Config{}, func(w http.ResponseWriter, req *http.Request) { io.WriteString(w, req.Header.Get(headerRequestID)) })
	_, _, a := r.get(t, "/")
	_, _, b := r.get(t, "/")
	if len(a) != 32 || a == b {
		t.Errorf("ids %q and %q", a, b)
	}
	if _, _, c := r.get(t, "/", headerRequestID, "with space"); len(c) != 32 {
		t.Errorf("id %q", c)
	}
}

func TestATrustedProxyIsBelieved(t *testing.T) {
	t.Parallel()
	var got http.Header
	c := Config{}
	c.TrustedProxy = append(c.TrustedProxy, mustPrefix(t, "127.0.0.0/8"))
	r, _ := one(t, c, func(_ http.ResponseWriter, req *http.Request) { got = req.Header.Clone() })
	r.get(t, "/", "X-Forwarded-For", "9.9.9.9", "X-Forwarded-Proto", "https")
	if got.Get("X-Forwarded-For") != "9.9.9.9, 127.0.0.1" || got.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("%v", got)
	}
}

func TestBigBodiesPassBothWays(t *testing.T) {
	t.Parallel()
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<19) // 8 MiB
	r, _ := one(t, Config{}, func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodGet {
			w.Write(big)
			return
		}
		echo(w, req)
	})
	if status, _, body := r.get(t, "/"); status != 200 || body != string(big) {
		t.Errorf("%d, %d bytes", status, len(body))
	}
	want := fmt.Sprintf("%d %x <nil>", len(big), sha256.Sum256(big))
	if _, _, body := r.do(t, http.MethodPost, r.url("/"), bytes.NewReader(big)); body != want {
		t.Errorf("with a length: %s", body)
	}
	if _, _, body := r.do(t, http.MethodPost, r.url("/"), io.MultiReader(bytes.NewReader(big))); body != want {
		t.Errorf("chunked: %s", body)
	}
	if w := r.sum(1); w.Requests != 3 || w.Status[2] != 3 {
		t.Errorf("windows hold %+v", w)
	}
}

func TestTrailersPassBothWays(t *testing.T) {
	t.Parallel()
	r, _ := one(t, Config{}, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		io.Copy(w, req.Body)
		w.Header().Set("X-Sum", "got "+req.Trailer.Get("X-Check"))
		w.Header().Set(http.TrailerPrefix+"X-Late", "unannounced")
	})
	req := r.plainPost()
	req.ContentLength = -1
	req.Body = io.NopCloser(io.MultiReader(strings.NewReader("beans")))
	req.Trailer = http.Header{"X-Check": {"42"}}
	res, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || string(body) != "beans" || res.Trailer.Get("X-Sum") != "got 42" || res.Trailer.Get("X-Late") != "unannounced" {
		t.Errorf("%s %v %v", body, err, res.Trailer)
	}
}

func TestInformationalHeadsPass(t *testing.T) {
	t.Parallel()
	r, _ := one(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "ok")
	})
	var hints []string
	req := r.plainGet()
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints = append(hints, fmt.Sprint(code, h.Get("Link")))
			return nil
		},
	}))
	res, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if !slices.Equal(hints, []string{"103</style.css>; rel=preload"}) || res.StatusCode != 200 {
		t.Errorf("%v %d", hints, res.StatusCode)
	}
	if w := r.sum(1); w.Requests != 1 || w.Status[2] != 1 || w.Status[1] != 0 {
		t.Errorf("windows hold %+v", w)
	}
}

func TestContinueIsTheVersionsToSay(t *testing.T) {
	t.Parallel()
	r, _ := one(t, Config{}, func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("X-Allowed") == "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		echo(w, req)
	})
	c, in := r.dial(t)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: h\r\nX-Allowed: 1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	line, err := in.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("%q %v", line, err)
	}
	in.ReadString('\n')
	fmt.Fprint(c, "beans")
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	if !strings.HasPrefix(string(body), "5 ") {
		t.Errorf("%s", body)
	}
	c, in = r.dial(t)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	res, err = http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusForbidden {
		t.Fatalf("%v %v", res, err)
	}
}

func TestAVersionMayAnswerBeforeItHasReadAll(t *testing.T) {
	t.Parallel()
	r, _ := one(t, Config{}, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("X-Early", "1")
		rc := http.NewResponseController(w)
		rc.EnableFullDuplex()
		w.WriteHeader(http.StatusOK)
		rc.Flush()
		echo(w, req) // and reads on
	})
	c, in := r.dial(t)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbea\r\n")
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.Header.Get("X-Early") != "1" {
		t.Fatalf("no early head: %v", err)
	}
	fmt.Fprint(c, "2\r\nns\r\n0\r\n\r\n")
	body, err := io.ReadAll(res.Body)
	if err != nil || string(body) != fmt.Sprintf("5 %x <nil>", sha256.Sum256([]byte("beans"))) {
		t.Errorf("%s %v", body, err)
	}
}

func TestAnEarlyRefusalReachesAClientThatStillSends(t *testing.T) {
	t.Parallel()
	r, _ := one(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	})
	c, in := r.dial(t)
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", 64<<20, strings.Repeat("x", 1000))
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Fatalf("%v %v", res, err)
	}
	eventually(t, "it is counted", func() bool { return r.sum(1).Status[4] == 1 })
}

func TestAClientThatLeavesIsNotTheVersionsFailure(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	r, _ := one(t, Config{}, func(_ http.ResponseWriter, req *http.Request) {
		arrived <- struct{}{}
		select {
		case <-req.Context().Done():
		case <-release:
		}
	})
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	if _, err := r.client.Do(r.plainGet().WithContext(ctx)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	eventually(t, "it is counted", func() bool { return r.sum(1).Requests == 1 })
	if w := r.sum(1); w.Aborted != 1 || w.Failed != 0 || w.Status != [6]uint64{} || w.Latency.Count[0] != 1 {
		t.Errorf("windows hold %+v", w)
	}
	// One that dies in the middle of its body.
	c, _ := r.dial(t)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf")
	c.Close()
	eventually(t, "it is counted", func() bool { return r.sum(1).Aborted == 2 })
	if w := r.sum(1); w.Requests != 2 || w.Failed != 0 {
		t.Errorf("windows hold %+v", w)
	}
}

func TestAVersionThatBreaksOffHasFailed(t *testing.T) {
	t.Parallel()
	r, _ := one(t, Config{}, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/body" {
			w.Header().Set("Content-Length", "1000000")
			io.WriteString(w, strings.Repeat("half", 50_000))
			http.NewResponseController(w).Flush()
		}
		panic(http.ErrAbortHandler)
	})
	if status, v, body := r.get(t, "/head"); status != http.StatusBadGateway || v != "v1" || !strings.Contains(body, "broke") {
		t.Errorf("%d %s %s", status, v, body)
	}
	res, err := r.client.Get(r.url("/body"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(res.Body); err == nil {
		t.Error("half a body looked whole")
	}
	res.Body.Close()
	eventually(t, "both are counted", func() bool { return r.sum(1).Requests == 2 })
	if w := r.sum(1); w.Failed != 2 || w.Aborted != 0 || w.Status[5] != 1 || w.Status[2] != 1 {
		t.Errorf("windows hold %+v", w)
	}
}

func TestAVersionThatDoesNotAnswerInTimeHasFailed(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	r, _ := one(t, Config{ResponseTimeout: 50 * time.Millisecond}, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	if status, _, body := r.get(t, "/"); status != http.StatusGatewayTimeout || !strings.Contains(body, "in time") {
		t.Errorf("%d %s", status, body)
	}
	if w := r.sum(1); w.Failed != 1 || w.Status[5] != 1 {
		t.Errorf("windows hold %+v", w)
	}
}

func TestStatusesAreCountedByClass(t *testing.T) {
	t.Parallel()
	r, _ := one(t, Config{}, func(w http.ResponseWriter, req *http.Request) {
		var code int
		fmt.Sscanf(req.URL.Path, "/%d", &code)
		w.WriteHeader(code)
	})
	for _, code := range []int{200, 204, 301, 304, 404, 418, 429, 500, 503} {
		if status, _, _ := r.get(t, fmt.Sprintf("/%d", code)); status != code {
			t.Errorf("%d became %d", code, status)
		}
	}
	if w := r.sum(1); w.Requests != 9 || w.Status != [6]uint64{0, 0, 2, 2, 3, 2} || w.Failed != 2 {
		t.Errorf("windows hold %+v", w)
	}
}

func TestLatencyIsTheVersionsNotASlowClients(t *testing.T) {
	t.Parallel()
	const pause = 100 * time.Millisecond
	r, _ := one(t, Config{}, func(w http.ResponseWriter, req *http.Request) {
		io.Copy(io.Discard, req.Body)
		if req.URL.Path == "/slow" {
			timer := time.NewTimer(pause)
			defer timer.Stop()
			<-timer.C
		}
		io.WriteString(w, "ok")
	})
	c, in := r.dial(t)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nbe")
	eventually(t, "it is under way", func() bool { return r.Open(orders, 1) == 1 })
	timer := time.NewTimer(20 * pause)
	defer timer.Stop()
	<-timer.C // the client's own time, which this test is about
	fmt.Fprint(c, "ans")
	if _, err := http.ReadResponse(in, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is counted", func() bool { return r.sum(1).Requests == 1 })
	if at := r.sum(1).Latency.Bucket; int(at[len(at)-1]) >= bucketOf(20*pause)-1 {
		t.Errorf("the client's slowness was counted: bucket %v", at)
	}
	r.get(t, "/slow")
	if at := r.sum(1).Latency.Bucket; int(at[len(at)-1]) < bucketOf(pause)-1 {
		t.Errorf("the version's slowness was not counted: bucket %v", at)
	}
}

func TestAKeptConnectionThatDiedLosesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	// The server closes each connection right after its answer, without saying so.
	b := newBackend(t, "a", echo, func(s *http.Server) { s.IdleTimeout = time.Nanosecond })
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	r.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	for range 200 {
		if status, _, _ := r.get(t, "/"); status != http.StatusOK {
			t.Fatal(status)
		}
	}
}

func TestABodyIsSentAgainOnlyIfNothingOfItWas(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	x := &exchange{ticket: &ticket{gateway: r.Gateway}}
	x.out = &answer{x: x, control: http.NewResponseController(nil)}
	b := &clientBody{ReadCloser: io.NopCloser(strings.NewReader("beans")), x: x}
	b.Close()
	again, err := b.again()
	if err != nil {
		t.Fatal(err)
	}
	if s, err := io.ReadAll(again); err != nil || string(s) != "beans" {
		t.Errorf("%s %v", s, err)
	}
	if _, err := b.again(); err == nil {
		t.Error("a body that was read is sent again")
	}
	b.over.Store(true)
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("read after the end: %v", err)
	}
}
