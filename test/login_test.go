package test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// commandNotToken fails if the token in a file stands in any file below a folder.
func commandNotToken(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: nottoken FILE FOLDER")
	}
	token := strings.TrimSpace(ts.ReadFile(args[0]))
	if !strings.HasPrefix(token, "titrate_") {
		ts.Fatalf("%s holds no token: %q", args[0], token)
	}
	commandNoPart(ts, false, []string{token, args[1]})
}

// commandSignIn runs titrate login with the token in a file as its stdin, which is to
// end with an exit code.
func commandSignIn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: signin CODE FILE ARGUMENT...")
	}
	exits(ts, ts.ReadFile(args[1]), append([]string{args[0], "titrate", "login"}, args[2:]...))
}

// commandControls asks the server's own host by every way without a token: over TLS
// it is refused, plain HTTP leads to TLS or refuses, whatever the path.
func commandControls(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: controls")
	}
	file, err := os.ReadFile(filepath.Join(ts.Getenv("DATA"), "certs", "server.crt"))
	ts.Check(err)
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(file)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	at := secureAddresses(ts)
	for _, path := range []string{"/", "/api/v1/apps", "/api/openapi.json", "/app.git/info/refs?service=git-receive-pack", "/git/app.git/info/refs?service=git-upload-pack"} {
		for _, ask := range []struct {
			url  string
			want int
		}{
			{ts.Getenv("HTTPS_URL") + path, http.StatusUnauthorized},
			{"http://" + at.HTTP + path, http.StatusPermanentRedirect},
			{ts.Getenv("GATEWAY") + path, http.StatusForbidden},
		} {
			req, err := http.NewRequest(http.MethodGet, ask.url, nil)
			ts.Check(err)
			req.Host = "localhost"
			req.Header.Set("Titrate-Gateway", "guessed")
			res, err := c.Do(req)
			ts.Check(err)
			res.Body.Close()
			if res.StatusCode != ask.want {
				ts.Fatalf("%s: %s, want %d", ask.url, res.Status, ask.want)
			}
		}
	}
}
