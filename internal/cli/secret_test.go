package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"titrate/client"
)

// TestSecret_aValueIsNeverTakenFromTheCommandLine keeps values out of the shell's
// history and the list of processes.
func TestSecret_aValueIsNeverTakenFromTheCommandLine(t *testing.T) {
	t.Parallel()
	env := []string{"TITRATE_SERVER=http://127.0.0.1:1", "TITRATE_TOKEN=t"}
	for _, args := range [][]string{{"secret", "set", "KEY=hunter2"}, {"secret", "set", "KEY", "hunter2"}, {"secret", "set", "KEY", "--value", "hunter2"}} {
		_, said, code := call(t, "", env, append(args, "--app", "shop", "--env", "production")...)
		if code != exitUsage || strings.Contains(said, "reach the server") {
			t.Errorf("%v: %d %s", args, code, said)
		}
		if len(args) == 3 && strings.Contains(said, "hunter2") {
			t.Errorf("%v: the value is shown: %s", args, said)
		}
	}
}

func TestSecret_isReadFromStdin(t *testing.T) {
	t.Parallel()
	var got string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet { // the app has not been pushed yet
			http.NotFound(w, r)
			return
		}
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var body struct{ Value string }
		if err := json.Unmarshal(b, &body); err != nil {
			t.Error(err)
		}
		got = r.Method + " " + r.URL.Path + " " + body.Value
	}))
	defer srv.Close()
	env := []string{"TITRATE_SERVER=" + srv.URL, "TITRATE_TOKEN=t"}
	out, said, code := call(t, "two words\r\n", env, "secret", "set", "KEY", "--app", "shop", "--env", "production")
	if code != 0 || got != "PUT /api/v1/apps/shop/environments/production/secrets/KEY two words" || strings.Contains(out+said, "two words") {
		t.Errorf("%d, asked %q, said %s%s", code, got, out, said)
	}
	for _, stdin := range []string{"", "\n", strings.Repeat("x", maxSecret+1)} {
		if _, said, code := call(t, stdin, env, "secret", "set", "KEY", "--app", "shop", "--env", "production"); code != exitUsage {
			t.Errorf("%d bytes: %d %s", len(stdin), code, said)
		}
	}
}

// TestCredential_answersForItsOwnServerOnly keeps a token from being sent to
// whoever made git ask.
func TestCredential_answersForItsOwnServerOnly(t *testing.T) {
	t.Parallel()
	env := []string{"TITRATE_SERVER=http://127.0.0.1:7070", "TITRATE_TOKEN=the-token"}
	for _, c := range []struct {
		asked, verb string
		answers     bool
	}{
		{"protocol=http\nhost=127.0.0.1:7070\n\n", "get", true},
		{"protocol=http\r\nhost=127.0.0.1:7070\r\n", "get", true},
		{"protocol=https\nhost=127.0.0.1:7070\n", "get", false},
		{"protocol=http\nhost=127.0.0.1:7071\n", "get", false},
		{"protocol=http\nhost=example.org\n", "get", false},
		{"protocol=http\nhost=127.0.0.1:7070.example.org\n", "get", false},
		{"", "get", false},
		{"protocol=http\nhost=127.0.0.1:7070\n", "store", false},
		{"protocol=http\nhost=127.0.0.1:7070\n", "erase", false},
	} {
		out, said, _ := call(t, c.asked, env, "__credential", c.verb)
		if got := strings.Contains(out, "password=the-token"); got != c.answers || strings.Contains(said, "the-token") {
			t.Errorf("%q %s: %q, %q", c.asked, c.verb, out, said)
		}
	}
}

func TestConnect_aTokenGoesToTheServerThatMadeIt(t *testing.T) {
	t.Parallel()
	// A server is named, and no credential for it: that of this machine's is not taken.
	_, said, code := call(t, "", []string{"TITRATE_SERVER=http://example.org", "HOME=" + t.TempDir()}, "status")
	if code != exitSignIn || !strings.Contains(said, "http://example.org") {
		t.Errorf("%d %s", code, said)
	}
}

func TestGolden_draw(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, c := range scenes() {
		b.WriteString("--- " + c.name + "\n")
		drawRollout(&b, c.r, noon)
	}
	w := client.Workload{
		Name: "orders", Health: "healthy", Outcome: "rolled-back", Sync: "behind on purpose: r42 rolled back, r41 kept", URLs: []string{"http://cofe.localhost:7080/orders"},
		Versions:  []client.Version{{Version: 41, Release: 41, Commit: "77ab01c1234", Role: "stable", Asked: 100, Served: 100, Ready: 2, Wanted: 2, Restarts: 1, RPS: 12.5, P99: 18}},
		Instances: []client.Instance{{ID: "orders-41-b", State: "backoff", Why: "exited with 2:\nno such table"}},
	}
	b.WriteString("--- a workload\n")
	drawWorkload(&b, "production", w)
	w.Orphaned, w.Sync, w.Outcome = 43, "unasked: r43 names it no more; it runs on until it is removed", ""
	b.WriteString("--- a workload that is named no more\n")
	drawWorkload(&b, "production", w)
	golden(t, "testdata/draw.txt", b.String())
}
