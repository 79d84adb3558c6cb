package gateway

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"titrate/internal/rollout"
)

// shelf is the certificate of httptest, which is for example.com.
type shelf struct{ cert tls.Certificate }

func (s shelf) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &s.cert, nil }

func (s shelf) Covers(host string) bool { return host == "example.com" }

func (s shelf) Proof(host, path string) (string, bool) {
	return "token.thumb", host == "example.com" && path == wellKnown+"token"
}

// secureRig serves on all four listeners.
type secureRig struct {
	*rig
	plain, secure string
	h1, h2        *http.Client
}

func newSecureRig(t *testing.T) *secureRig {
	t.Helper()
	return newSecureRigOf(t, Config{})
}

func newSecureRigOf(t *testing.T, cfg Config) *secureRig {
	t.Helper()
	test := httptest.NewUnstartedServer(nil)
	test.StartTLS()
	certs, pool := shelf{test.TLS.Certificates[0]}, test.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	test.Close()
	var ls [3]net.Listener
	for i := range ls {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ls[i] = l
	}
	cfg.Epoch, cfg.Certificates = "test", certs
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &secureRig{rig: &rig{Gateway: g, public: ls[0].Addr().String(), stop: cancel, done: make(chan struct{})}, plain: ls[1].Addr().String(), secure: ls[2].Addr().String()}
	client := func(h2 bool) *http.Client {
		tr := &http.Transport{
			ForceAttemptHTTP2: h2, MaxIdleConnsPerHost: 16,
			TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "example.com"},
		}
		if !h2 {
			tr.TLSClientConfig.NextProtos = []string{"http/1.1"}
		}
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	s.h1, s.h2 = client(false), client(true)
	s.client = s.h1
	go func() {
		defer close(s.done)
		if err := g.Serve(ctx, Listeners{Public: ls[0], Plain: ls[1], Secure: ls[2]}); err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	t.Cleanup(func() {
		for _, c := range []*http.Client{s.h1, s.h2} {
			c.CloseIdleConnections()
		}
		cancel()
		<-s.done
	})
	return s
}

// ask returns a response whose body has been read.
func (s *secureRig) ask(t *testing.T, c *http.Client, method, url, host, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

func TestGateway_servesTLSWithBothProtocolsAndSaysSoToTheVersion(t *testing.T) {
	t.Parallel()
	s := newSecureRig(t)
	b := newBackend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		io.WriteString(w, r.Header.Get("X-Forwarded-Proto")+" "+r.Host+" "+string(body))
	})
	s.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	s.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	for proto, c := range map[string]*http.Client{"HTTP/1.1": s.h1, "HTTP/2.0": s.h2} {
		res, body := s.ask(t, c, http.MethodPost, "https://"+s.secure+"/", "example.com", "hello")
		if res.Proto != proto || res.StatusCode != 200 || body != "https example.com hello" || res.Header.Get(HeaderVersion) != "v1" {
			t.Errorf("%s: got %s %d %q", proto, res.Proto, res.StatusCode, body)
		}
		if res.Header.Get("Strict-Transport-Security") != "" {
			t.Error("HSTS binds browsers for months: it is the app's to send")
		}
	}
	if res, body := s.ask(t, s.h1, http.MethodGet, "http://"+s.public+"/", "example.com", ""); res.StatusCode != 200 || !strings.HasPrefix(body, "http ") {
		t.Errorf("the plain gateway: %d %q", res.StatusCode, body)
	}
}

func TestGateway_refusesTLSBelow12(t *testing.T) {
	t.Parallel()
	s := newSecureRig(t)
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}} //nolint:gosec // what must be refused
	if c, err := d.DialContext(t.Context(), "tcp", s.secure); err == nil {
		c.Close()
		t.Error("TLS 1.1 was taken")
	}
}

func TestGateway_leadsToHTTPSWhereThereIsACertificate(t *testing.T) {
	t.Parallel()
	s := newSecureRig(t)
	b := newBackend(t, "a", says("app"))
	s.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	s.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	_, port, _ := net.SplitHostPort(s.secure)
	for _, c := range []struct {
		host, path string
		status     int
		location   string
	}{
		{"example.com", "/a%20b?x=1&y=%2F", 308, "https://example.com:" + port + "/a%20b?x=1&y=%2F"},
		{"EXAMPLE.com:80", "/", 308, "https://example.com:" + port + "/"},
		{"other.org", "/", 200, ""}, // no certificate yet: traffic flows on
		{"shop.localhost", "/", 200, ""},
		{"example.com", wellKnown + "token", 200, ""},
		{"example.com", wellKnown + "somebody-elses", 200, ""}, // an app may have a client of its own
	} {
		res, body := s.ask(t, s.h1, http.MethodPost, "http://"+s.plain+c.path, c.host, "")
		if res.StatusCode != c.status || res.Header.Get("Location") != c.location {
			t.Errorf("%s%s: %d to %q", c.host, c.path, res.StatusCode, res.Header.Get("Location"))
		}
		if proof := strings.HasSuffix(c.path, "/token"); c.status == 200 && (body == "token.thumb") != proof {
			t.Errorf("%s%s: %q", c.host, c.path, body)
		}
	}
}

// A rollout under HTTPS load: weights move between two versions, and a version goes.
func TestGateway_losesNoRequestOverTLSWhileWeightsMove(t *testing.T) {
	t.Parallel()
	s := newSecureRig(t)
	for v := rollout.Version(1); v <= 2; v++ {
		s.SetInstances(orders, v, []Endpoint{newBackend(t, v.String(), says(v.String())).Endpoint})
	}
	s.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full, 2: 0})
	var sent, lost atomic.Int64
	var clients sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for i := range 8 {
		c := s.h1
		if i%2 == 0 {
			c = s.h2
		}
		clients.Go(func() {
			for ctx.Err() == nil {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.secure+"/", nil)
				if err != nil {
					t.Error(err)
					return
				}
				req.Host = "example.com"
				res, err := c.Do(req)
				sent.Add(1)
				if err != nil {
					lost.Add(1)
					t.Error(err)
					continue
				}
				_, err = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if err != nil || res.StatusCode != 200 {
					lost.Add(1)
				}
			}
		})
	}
	for step := rollout.Weight(0); step <= 20; step++ {
		until := sent.Load() + 50
		to := step * rollout.Full / 20
		s.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full - to, 2: to})
		eventually(t, "50 more requests", func() bool { return sent.Load() >= until })
	}
	s.split(t, map[rollout.Version]rollout.Weight{2: rollout.Full})
	until := sent.Load() + 50
	eventually(t, "50 more requests", func() bool { return sent.Load() >= until })
	stop()
	clients.Wait()
	if lost.Load() != 0 || s.sum(1).Requests+s.sum(2).Requests != uint64(sent.Load()) {
		t.Errorf("%d of %d lost; counted %d and %d", lost.Load(), sent.Load(), s.sum(1).Requests, s.sum(2).Requests)
	}
}
