package cli

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"titrate/client"
)

func TestServerURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://Titrate.Example.org/": "https://titrate.example.org",
		"titrate.example.org":          "https://titrate.example.org",
		"titrate.example.org:443":      "https://titrate.example.org",
		"titrate.example.org:8443":     "https://titrate.example.org:8443",
		"http://127.0.0.1:7070":        "http://127.0.0.1:7070",
		"http://localhost:7070":        "http://localhost:7070",
		"http://[::1]:7070":            "http://[::1]:7070",
		"http://titrate.example.org":   "",
		"http://10.0.0.1:7070":         "",
		"ftp://titrate.example.org":    "",
		"https://a:b@example.org":      "",
		"https://example.org/path":     "",
		"https://":                     "",
		"https://example.org?x=1":      "",
	} {
		got, err := serverURL(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}

// secureServer answers whoami as a server of some version does, over TLS.
func secureServer(t *testing.T, i client.Identity, status int) (url, ca string) {
	t.Helper()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(i)
	}))
	t.Cleanup(srv.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return srv.URL, ca
}

func TestLogin_keepsNothingOfAServerThatItCannotTalkTo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		identity client.Identity
		status   int
		want     string
	}{
		"newer":   {client.Identity{Server: "9.0.0", Protocol: client.Protocol + 1}, 200, "install titrate 9.0.0 here"},
		"another": {client.Identity{}, 404, "error[T0725]"},
	} {
		url, ca := secureServer(t, c.identity, c.status)
		home := t.TempDir()
		_, said, code := call(t, "titrate_x\n", []string{"HOME=" + home}, "login", url, "--ca", ca)
		if code != exitFailed || !strings.Contains(said, c.want) || !strings.Contains(said, "T0725") {
			t.Errorf("%s: exit %d\n%s", name, code, said)
		}
		if left, _ := filepath.Glob(filepath.Join(home, ".*")); len(left) != 0 {
			t.Errorf("%s: it leaves %v", name, left)
		}
	}
}

func TestLogin_keepsTheTokenForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	url, ca := secureServer(t, client.Identity{Name: "anna", Server: "1", Protocol: client.Protocol}, 200)
	home := t.TempDir()
	env := []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1"}
	if _, said, code := call(t, "titrate_x\n", env, "login", url, "--ca", ca); code != exitDone {
		t.Fatal(said)
	}
	path := filepath.Join(home, ".config", "titrate", "logins.json")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	// Only for that server, protocol and port.
	for asked, want := range map[string]string{url: "username=titrate\npassword=titrate_x\n", url + "0": "", strings.Replace(url, "https", "http", 1): "", "https://example.org": ""} {
		protocol, host, _ := strings.Cut(asked, "://")
		out, said, code := call(t, "protocol="+protocol+"\nhost="+host+"\n\n", env, "git-credential", "get")
		if out != want || code != exitDone {
			t.Errorf("%s: %q, exit %d %s", asked, out, code, said)
		}
	}
	// The environment stands before what is kept, and the URL may be written otherwise.
	s := &session{Terminal: Terminal{Env: env}, server: url + "/"}
	if a, err := s.access(); err != nil || a.token != "titrate_x" || !a.login || a.ca == "" {
		t.Errorf("%+v, %v", a, err)
	}
	s.Env = append(env[:len(env):len(env)], "TITRATE_TOKEN=other")
	if a, err := s.access(); err != nil || a.token != "other" || a.ca == "" || a.login {
		t.Errorf("%+v, %v", a, err)
	}
	// A token goes to the server that made it and to no other.
	s = &session{Terminal: Terminal{Env: env}, server: "https://example.org"}
	if a, err := s.access(); err == nil || a.token != "" {
		t.Errorf("%+v, %v", a, err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, said, code := call(t, "", env, "whoami"); code != exitFailed || !strings.Contains(said, "T0726") {
		t.Errorf("others can read it: exit %d %s", code, said)
	}
}

func TestUnreached_saysWhatToDo(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"--ca FILE":              x509.UnknownAuthorityError{},
		"for another host":       x509.HostnameError{Certificate: &x509.Certificate{}, Host: "a"},
		"clock":                  x509.CertificateInvalidError{Reason: x509.Expired},
		"titrate certificate ls": x509.CertificateInvalidError{Reason: x509.IncompatibleUsage},
		"speaks no TLS":          tls.RecordHeaderError{},
		"serves no such host":    tls.AlertError(112),
	} {
		if got := unreached("https://titrate.example.org", err); !strings.Contains(got.Error(), want) || !strings.HasPrefix(got.Error(), "error[T072") {
			t.Errorf("%v: %v", err, got)
		}
	}
}
