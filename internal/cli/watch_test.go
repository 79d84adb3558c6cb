package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"titrate/client"
)

// A server that restarts ends no watch, and one that is silent is no silence.
func TestWatch_saysThatTheServerDoesNotAnswer(t *testing.T) {
	t.Parallel()
	r := client.Rollout{ID: 6, App: "tiny", Env: "production", Phase: "shifting", Members: []client.Member{{Workload: "web", Stable: 4, Candidate: 5}}}
	var asked atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		now := r
		switch asked.Add(1) {
		case 1: // watch looks for it
		case 2, 3:
			panic(http.ErrAbortHandler)
		default:
			now.Outcome, now.Why = "promoted", "promoted"
		}
		if err := json.NewEncoder(w).Encode(now); err != nil {
			t.Error(err)
		}
	}))
	defer srv.Close()
	out, said, code := call(t, "", []string{"TITRATE_SERVER=" + srv.URL, "TITRATE_TOKEN=t"}, "rollout", "watch", "6")
	if code != exitDone || !strings.Contains(out, "promoted") || strings.Count(said, "The server does not answer") != 1 {
		t.Errorf("exit code %d\n%s%s", code, out, said)
	}
}

// `git push && titrate rollout watch` is no success when the push was not built.
func TestWatch_tellsOfAPushThatFailed(t *testing.T) {
	t.Parallel()
	opened := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	r := client.Rollout{ID: 6, App: "tiny", Env: "production", Outcome: "promoted", Phase: "ended", Opened: opened}
	for _, c := range []struct {
		push client.Push
		line string
		code int
	}{
		{client.Push{Commit: "0123456789", Stage: "failed", Problem: "error[T0550]: web was not built\n  saw …", At: opened.Add(time.Minute)}, "rollout watch", exitBuild},
		{client.Push{Stage: "failed", At: opened.Add(time.Minute)}, "rollout watch 6", exitDone},
		{client.Push{Stage: "failed", At: opened.Add(-time.Minute)}, "rollout watch tiny", exitDone},
		{client.Push{Stage: "delivered", At: opened.Add(time.Minute)}, "rollout watch tiny", exitDone},
	} {
		app := client.App{Name: "tiny", Environments: []client.Environment{{Name: "production"}}, Pushes: []client.Push{c.push}}
		env := server(t, map[string]any{
			"/api/v1/server": client.Server{Node: "up"}, "/api/v1/apps": []client.App{app}, "/api/v1/apps/tiny": app,
			"/api/v1/rollouts": []client.Rollout{r}, "/api/v1/rollouts/6": r,
		})
		out, said, code := call(t, "", env, strings.Fields(c.line)...)
		if code != c.code || (code == exitBuild) != strings.Contains(said, "push 0123456 failed, and nothing of it moves: error[T0550]: web was not built\n") {
			t.Errorf("%s with %+v: exit code %d\n%s%s", c.line, c.push, code, out, said)
		}
	}
}
