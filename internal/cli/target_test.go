package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"titrate/client"
)

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]target{
		"cofe":            {app: "cofe"},
		"cofe/orders":     {app: "cofe", workload: "orders"},
		"cofe/orders@v17": {app: "cofe", workload: "orders", version: 17},
		"cofe@r42":        {app: "cofe", release: 42},
		"@r42":            {release: 42},
		"/orders":         {workload: "orders"},
		"12":              {rollout: 12},
		"#12":             {rollout: 12},
	} {
		if got, err := parseTarget(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"Cofe", "cofe/", "cofe/orders/x", "cofe@17", "cofe@r0", "cofe@r-1", "cofe orders", "../x", "cofe@r99999999999999999999"} {
		if got, err := parseTarget(text); err == nil || exitCode(context.Background(), err) != exitUsage {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, text := range []string{"cofe", "cofe/orders@v17", "#12", "@r42", "", "/", "@", "-", "cofe@r99999999999999999999"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseTarget(text)
		if err != nil || text == "" {
			return
		}
		if again, err := parseTarget(got.String()); err != nil || again != got {
			t.Errorf("%q is %+v, written %q, read %+v (%v)", text, got, got.String(), again, err)
		}
		if strings.ContainsAny(got.app+got.workload, "./ \n") {
			t.Errorf("%q: %+v", text, got)
		}
	})
}

func TestExitCode_ofEachKindOfEnd(t *testing.T) {
	t.Parallel()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		gone bool // the call was interrupted
		err  error
		want int
	}{
		{false, nil, 0},
		{false, errors.New("disk on fire"), 1},
		{false, usage("no"), 2},
		{false, fmt.Errorf("wrapped: %w", exit(exitRefused)), 3},
		{false, &client.Problem{Status: http.StatusUnauthorized}, 4},
		{false, &client.Problem{Status: http.StatusNotFound}, 2},
		{false, &client.Problem{Status: http.StatusUnprocessableEntity}, 2},
		{false, &client.Problem{Status: http.StatusConflict}, 7},
		{false, &client.Problem{Status: http.StatusInternalServerError}, 1},
		{true, fmt.Errorf("reach the server: %w", context.Canceled), 130},
	} {
		ctx := t.Context()
		if c.gone {
			ctx = gone
		}
		if got := exitCode(ctx, c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

func TestEnded_codeOfEachOutcome(t *testing.T) {
	t.Parallel()
	first, later := []client.Member{{Candidate: 1}}, []client.Member{{Stable: 1, Candidate: 2}}
	for _, c := range []struct {
		name        string
		r           client.Rollout
		live, until bool
		over        bool
		code        int
	}{
		{"promoted", client.Rollout{Outcome: "promoted"}, false, false, true, exitDone},
		{"rolled back", client.Rollout{Outcome: "rolled-back"}, true, false, true, exitRefused},
		{"aborted", client.Rollout{Outcome: "aborted"}, false, false, true, exitRefused},
		{"never ready", client.Rollout{Outcome: "failed", Members: later}, false, false, true, exitBuild},
		{"nothing to go back to", client.Rollout{Outcome: "failed", Members: first}, false, false, true, exitUnhealthy},
		{"superseded", client.Rollout{Outcome: "superseded"}, false, false, true, exitPolicy},
		{"in progress", client.Rollout{Phase: "shifting"}, false, false, false, 0},
		{"paused, nobody there", client.Rollout{Pause: &client.Pause{}}, false, false, true, exitWaiting},
		{"paused, at a terminal", client.Rollout{Pause: &client.Pause{}}, true, false, false, 0},
		{"paused, as asked", client.Rollout{Pause: &client.Pause{}}, false, true, true, exitDone},
		{"approval, nobody there", client.Rollout{Wait: client.Wait{Person: true}}, false, false, true, exitWaiting},
	} {
		if over, code := ended([]client.Rollout{c.r}, c.live, c.until); over != c.over || code != c.code {
			t.Errorf("%s: %v %d, want %v %d", c.name, over, code, c.over, c.code)
		}
	}
}

func TestSentence_saysWhatToTypeNext(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"error[T0802]: there is no app x":  &client.Problem{Status: 404, Code: "T0802", Detail: "there is no app x"},
		"TITRATE_TOKEN":                    &client.Problem{Status: 401, Code: "T0801", Detail: "a credential is needed"},
		"titrate up starts a server":       fmt.Errorf("reach the server: %w", &net.OpError{Op: "dial", Err: errors.New("refused")}),
		"error: which app?":                usage("which app?"),
		"error[T0600]: a secret is needed": &client.Problem{Status: 422, Code: "T0600", Detail: "error[T0600]: a secret is needed"},
	} {
		if got := sentence(err); !strings.Contains(got, want) || strings.Count(got, "error") > 1 {
			t.Errorf("%q, want %q in it", got, want)
		}
	}
}

// call runs one command line in a folder of its own.
func call(t *testing.T, stdin string, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, said bytes.Buffer
	code = Main(t.Context(), args, Terminal{In: strings.NewReader(stdin), Out: &out, Err: &said, Dir: t.TempDir(), Env: env})
	return out.String(), said.String(), code
}

// TestTarget_aFaultyManifestNamesItsApp takes back a release beside a manifest with a
// fault: of several apps, or of the only one that there is, it is the one of the folder.
func TestTarget_aFaultyManifestNamesItsApp(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"titrate: 1\napp: shop\nservices: { web: { prot: 80 } }\n":     "shop",
		"titrate: 1\napp: 'shop' # ours\nservices: [\n":                "shop",
		"titrate: 1\nservices: { web: { env: { app: x } } }\nfoo: 1\n": "",
	} {
		s := &session{Terminal: Terminal{Dir: t.TempDir()}}
		if err := os.WriteFile(filepath.Join(s.Dir, manifestName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := s.target(t.Context(), nil, nil)
		if got.app != want || (err == nil) != (want != "") {
			t.Errorf("%q is of %q: %v", text, got.app, err)
		}
	}
}

func TestQueueSend_refusesALongDelay(t *testing.T) {
	t.Parallel()
	if _, said, code := call(t, "", nil, "queue", "send", "orders", "x", "--delay", "20m"); code != exitUsage || !strings.Contains(said, "15m at the most") {
		t.Errorf("%d: %s", code, said)
	}
}
