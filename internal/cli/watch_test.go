package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

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
