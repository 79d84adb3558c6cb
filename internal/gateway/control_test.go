package gateway

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"titrate/internal/rollout"
)

func controlRig(t *testing.T, h http.HandlerFunc) *secureRig {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	s := newSecureRigOf(t, Config{Control: Control{Host: "example.com", Addr: strings.TrimPrefix(server.URL, "http://"), Header: "Titrate-Gateway", Secret: "mine"}})
	b := newBackend(t, "a", says("app"))
	s.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	s.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	return s
}

func TestGateway_leadsTheServersHostToItOverTLSOnly(t *testing.T) {
	t.Parallel()
	s := controlRig(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Join([]string{
			"server", r.Host, r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"), r.Header.Get("Titrate-Gateway"), r.Header.Get("Forwarded"), r.Header.Get("Authorization"),
		}, " "))
	})
	ask := func(c *http.Client, url, host string) (int, string, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		for name, value := range map[string]string{"X-Forwarded-For": "203.0.113.9", "Titrate-Gateway": "guessed", "Forwarded": "for=203.0.113.9", "Authorization": "Bearer x"} {
			req.Header.Set(name, value)
		}
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(body), res.Header.Get("Location")
	}
	for _, c := range []*http.Client{s.h1, s.h2} {
		if status, body, _ := ask(c, "https://"+s.secure+"/api", "EXAMPLE.com:443"); status != 200 || body != "server EXAMPLE.com:443 127.0.0.1 https mine  Bearer x" {
			t.Errorf("over TLS: %d %q", status, body)
		}
	}
	if status, body, _ := ask(s.h2, "https://"+s.secure+"/", "shop.example.com"); status != 200 || body != "app" {
		t.Errorf("another host: %d %q", status, body)
	}
	if status, _, to := ask(s.h1, "http://"+s.plain+"/api", "example.com"); status != 308 || !strings.HasPrefix(to, "https://example.com:") {
		t.Errorf("plain: %d to %q", status, to)
	}
	if status, body, _ := ask(s.h1, "http://"+s.public+"/api", "example.com"); status != 403 || strings.Contains(body, "server example") {
		t.Errorf("the plain gateway: %d %q", status, body)
	}
	if n := s.sum(1).Requests; n != 1 {
		t.Errorf("%d requests are counted for the version", n)
	}
}

func TestGateway_servesTheServersHostNotAtAllWithoutACertificate(t *testing.T) {
	t.Parallel()
	s := newSecureRigOf(t, Config{Control: Control{Host: "titrate.example.org", Addr: "127.0.0.1:1", Header: "X", Secret: "y"}})
	for path, want := range map[string]int{"/api": 503, wellKnown + "else": 503} {
		if res, body := s.ask(t, s.h1, http.MethodGet, "http://"+s.plain+path, "titrate.example.org", ""); res.StatusCode != want || !strings.Contains(body, "titrate certificate ls") {
			t.Errorf("%s: %d %q", path, res.StatusCode, body)
		}
	}
	if res, body := s.ask(t, s.h1, http.MethodGet, "https://"+s.secure+"/", "titrate.example.org", ""); res.StatusCode != 502 || !strings.Contains(body, "traffic flows on") {
		t.Errorf("with a server that is gone: %d %q", res.StatusCode, body)
	}
}

// git hears of a push before it has sent the last of it.
func TestGateway_passesOnToTheServerWhatItSaysWhileItListens(t *testing.T) {
	t.Parallel()
	s := controlRig(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			io.WriteString(w, "heard "+lines.Text()+"\n")
			if err := rc.Flush(); err != nil {
				return
			}
		}
	})
	for _, c := range []*http.Client{s.h1, s.h2} {
		body, pipe := io.Pipe()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+s.secure+"/app.git/git-receive-pack", body)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "example.com"
		go io.WriteString(pipe, "one\n")
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		heard := bufio.NewReader(res.Body)
		for _, say := range []string{"one", "two", "three"} {
			if say != "one" {
				if _, err := io.WriteString(pipe, say+"\n"); err != nil {
					t.Fatal(err)
				}
			}
			if line, err := heard.ReadString('\n'); err != nil || line != "heard "+say+"\n" {
				t.Fatalf("%s: %q, %v", res.Proto, line, err)
			}
		}
		pipe.Close()
		res.Body.Close()
	}
}
