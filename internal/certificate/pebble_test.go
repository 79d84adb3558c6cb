package certificate

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"titrate/internal/porttest"
	"titrate/internal/world"
)

// pebbles builds Let's Encrypt's test server once.
var pebbles = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "titrate-pebble-")
	if err != nil {
		return "", err
	}
	built = dir
	cmd := exec.Command("go", "build", "-o", dir, "github.com/letsencrypt/pebble/v2/cmd/pebble", "github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv")
	cmd.Dir = "../../tools/pebble"
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("build pebble: %w\n%s", err, out)
	}
	return dir, nil
})

var built string

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// ca is a pebble with a name server of its own, and a gateway's two listeners that
// answer with a stock.
type ca struct {
	dir, roots, names string // names: URL of the name server's management
	http, https       string
	addr              string // of pebble
	start             func()
	stock             atomic.Pointer[Stock]
}

// listen on a port that the kernel chooses.
func listen(t *testing.T) (net.Listener, string, int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l, l.Addr().String(), l.Addr().(*net.TCPAddr).Port
}

// newCA prepares one whose certificates last so many seconds. It runs once start has
// been called.
func newCA(t *testing.T, life int, env ...string) *ca {
	t.Helper()
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("a real ACME server is built for it: set TITRATE_TEST_SLOW=1")
	}
	bin, err := pebbles()
	if err != nil {
		t.Skipf("pebble cannot be built here: %v", err)
	}
	c := &ca{dir: t.TempDir()}
	f, _ := write(t, c.dir, "pebble", time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "localhost")
	c.roots = f.Cert
	plain, at, httpPort := listen(t)
	c.http = at
	secure, at, httpsPort := listen(t)
	c.https = at
	answers := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.Host)
		if text, ok := c.stock.Load().Proof(host, r.URL.Path); ok {
			io.WriteString(w, text)
			return
		}
		http.NotFound(w, r)
	})}
	go answers.Serve(plain)
	shakes := &http.Server{Handler: http.NotFoundHandler(), TLSConfig: &tls.Config{
		NextProtos:     []string{"http/1.1", challengeProtocol},
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return c.stock.Load().Certificate(h) },
	}}
	go shakes.ServeTLS(secure, "", "")
	t.Cleanup(func() { answers.Close(); shakes.Close() })

	api, management, names, dns := porttest.Addr(t), porttest.Addr(t), porttest.Addr(t), porttest.Addr(t)
	config := map[string]any{"pebble": map[string]any{
		"listenAddress": api, "managementListenAddress": management,
		"certificate": f.Cert, "privateKey": f.Key, "httpPort": httpPort, "tlsPort": httpsPort,
		"profiles": map[string]any{"default": map[string]any{"description": "for tests", "validityPeriod": life}},
	}}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "pebble.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	c.addr, c.names = strings.Replace(api, "127.0.0.1", "localhost", 1), "http://"+names
	run := func(name string, args ...string) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, name), args...)
		cmd.Env = append(os.Environ(), append(env, "PEBBLE_VA_NOSLEEP=1")...)
		cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
		if err := cmd.Start(); err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	}
	c.start = func() {
		run("pebble-challtestsrv", "-defaultIPv6", "", "-defaultIPv4", "127.0.0.1", "-dnsserver", dns, "-doh", "", "-http01", "", "-https01", "", "-tlsalpn01", "", "-management", names)
		run("pebble", "-config", filepath.Join(c.dir, "pebble.json"), "-dnsserver", dns)
		for _, at := range []string{c.addr, names} {
			await(t, "pebble listens", func() bool {
				conn, err := net.DialTimeout("tcp", at, time.Second)
				if err != nil {
					return false
				}
				conn.Close()
				return true
			})
		}
	}
	return c
}

// nameless makes the name server say that a host does not exist.
func (c *ca) nameless(t *testing.T, host string, is bool) {
	t.Helper()
	path := "/clear-servfail"
	if is {
		path = "/set-servfail"
	}
	res, err := http.Post(c.names+path, "application/json", strings.NewReader(fmt.Sprintf(`{"host":%q}`, host+".")))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
}

// open runs a stock that asks this CA, and waits a little between its tries.
func (c *ca) open(t *testing.T, a ACME, hosts ...string) *Stock {
	t.Helper()
	if a.CA == "" {
		a.CA = "https://" + c.addr + "/dir"
	}
	if a.Roots == "" {
		a.Roots = c.roots
	}
	if a.Wait == nil {
		a.Wait = func(int) time.Duration { return 100 * time.Millisecond }
	}
	s := open(t, Config{Dir: filepath.Join(c.dir, "certs"), ACME: &a, Every: 50 * time.Millisecond})
	c.stock.Store(s)
	s.SetHosts(hosts)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	return s
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("after a minute still not: %s", what)
		}
	}
}

func TestACME_issuesByEitherProofAndKeepsItOverARestart(t *testing.T) {
	t.Parallel()
	c := newCA(t, 3600)
	c.start()
	for host, a := range map[string]ACME{"http.example.org": {HTTP: c.http}, "alpn.example.org": {HTTPS: c.https}} {
		s := c.open(t, a, host)
		await(t, host+" has a certificate: "+s.Hosts()[0].Problem, func() bool { return s.Covers(host) })
		h := s.Hosts()[0]
		if h.Source != world.CertificateACME || !strings.Contains(h.Issuer, "Pebble") || h.Problem != "" || h.Failed != 0 {
			t.Errorf("%+v", h)
		}
		info, err := os.Stat(s.cfg.ACME.files(host).Key)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the key: %v, %v", info, err)
		}
		serial := serves(t, s, host)
		again := open(t, Config{Dir: s.cfg.Dir, ACME: &ACME{CA: s.cfg.ACME.CA, Roots: c.roots, HTTP: c.http}})
		again.SetHosts([]string{host})
		if got := serves(t, again, host); got != serial {
			t.Errorf("after a restart %q is served, not %q", got, serial)
		}
	}
}

func TestACME_renewsWhenAThirdOfItsLifeIsLeft(t *testing.T) {
	t.Parallel()
	c := newCA(t, 12)
	c.start()
	s := c.open(t, ACME{HTTP: c.http, HTTPS: c.https}, "short.example.org")
	await(t, "the first", func() bool { return s.Covers("short.example.org") })
	first := serves(t, s, "short.example.org")
	await(t, "the next one", func() bool { return serves(t, s, "short.example.org") != first && s.Covers("short.example.org") })
}

func TestACME_aDownCAIsAskedAgainAndAnsweredNonceErrorsAreBorne(t *testing.T) {
	t.Parallel()
	c := newCA(t, 3600, "PEBBLE_WFE_NONCEREJECT=40")
	s := c.open(t, ACME{HTTP: c.http}, "late.example.org")
	await(t, "it is said that the CA is down, and when it is tried again", func() bool {
		h := s.Hosts()[0]
		return h.Failed > 0 && strings.Contains(h.Problem, "cannot be reached") && !h.Next.IsZero()
	})
	if s.Covers("late.example.org") {
		t.Error("led to HTTPS without a certificate")
	}
	c.start()
	await(t, "the CA is back", func() bool { return s.Covers("late.example.org") })
	if h := s.Hosts()[0]; h.Problem != "" || h.Failed != 0 {
		t.Errorf("%+v", h)
	}
}

func TestACME_aHostWithoutANameSaysSo(t *testing.T) {
	t.Parallel()
	c := newCA(t, 3600)
	c.start()
	c.nameless(t, "lost.example.org", true)
	s := c.open(t, ACME{HTTP: c.http}, "lost.example.org", "found.example.org")
	await(t, "the failure is told", func() bool { return s.Hosts()[1].Failed > 0 })
	if p := s.Hosts()[1].Problem; !strings.Contains(p, "lost.example.org") || strings.Contains(p, "cannot be reached") {
		t.Errorf("the problem: %s", p)
	}
	await(t, "the other host is served all the same", func() bool { return s.Covers("found.example.org") })
	c.nameless(t, "lost.example.org", false)
	await(t, "the name is there", func() bool { return s.Covers("lost.example.org") })
}

func TestACME_aCAThatIsAskedTooOftenIsLeftAlone(t *testing.T) {
	t.Parallel()
	c := newCA(t, 3600)
	c.start()
	// Pebble has no limits: what stands before it has, and says so as Let's Encrypt does.
	var asked atomic.Int64
	until := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)
	behind := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "https", Host: c.addr})
	roots, err := os.ReadFile(c.roots)
	if err != nil {
		t.Fatal(err)
	}
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(roots)
	behind.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust, ServerName: "localhost"}}
	behind.ModifyResponse = func(r *http.Response) error {
		if r.Request.Method != http.MethodPost || !strings.Contains(r.Request.URL.Path, "order") {
			return nil
		}
		asked.Add(1)
		body := fmt.Sprintf(`{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many certificates, retry after %s UTC","status":429}`, until.Format(time.DateTime))
		r.StatusCode, r.Body, r.ContentLength = 429, io.NopCloser(bytes.NewBufferString(body)), int64(len(body))
		r.Header.Set("Content-Type", "application/problem+json")
		r.Header.Set("Content-Length", fmt.Sprint(len(body)))
		return nil
	}
	front, at, _ := listen(t)
	srv := &http.Server{Handler: behind}
	go srv.ServeTLS(front, c.roots, strings.TrimSuffix(c.roots, ".crt")+".key")
	t.Cleanup(func() { srv.Close() })
	_, port, _ := net.SplitHostPort(at)
	s := c.open(t, ACME{CA: "https://localhost:" + port + "/dir", HTTP: c.http}, "busy.example.org")
	await(t, "the limit is told", func() bool { return s.Hosts()[0].Failed > 0 })
	h := s.Hosts()[0]
	if !strings.Contains(h.Problem, "asked too often") || !h.Next.Equal(until) || asked.Load() == 0 {
		t.Errorf("%+v, asked %d times, want the next try at %s", h, asked.Load(), until)
	}
}

// Whoever points a name here, or only says one in a handshake, must not use up the CA's
// limits.
func TestACME_asksForNoHostThatIsNotReleased(t *testing.T) {
	t.Parallel()
	c := newCA(t, 3600)
	c.start()
	s := c.open(t, ACME{HTTP: c.http, HTTPS: c.https}, "shop.example.org")
	if got := serves(t, s, "else.example.org"); got != "" {
		t.Errorf("shown %q", got)
	}
	await(t, "the host that is", func() bool { return s.Covers("shop.example.org") })
	if h := s.Hosts(); len(h) != 1 || s.Covers("else.example.org") {
		t.Errorf("%+v", h)
	}
	if _, err := os.Stat(s.cfg.ACME.files("else.example.org").Cert); err == nil {
		t.Error("the CA was asked for it")
	}
	d := tls.Dialer{Config: &tls.Config{ServerName: "else.example.org", InsecureSkipVerify: true}} //nolint:gosec // nothing is sent
	if conn, err := d.DialContext(t.Context(), "tcp", c.https); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("the handshake: %v, %v", conn, err)
	}
}

func TestACME_aCAThatNobodyVouchesForIsNotTrusted(t *testing.T) {
	t.Parallel()
	c := newCA(t, 3600)
	c.start()
	other, _ := write(t, t.TempDir(), "other", time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "else.example.org")
	s := c.open(t, ACME{HTTP: c.http, Roots: other.Cert}, "shop.example.org")
	await(t, "it is said how to name who signs", func() bool { return strings.Contains(s.Hosts()[0].Problem, "--acme-ca-root") })
}
