package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"titrate/client"
)

// server answers GETs by path with values, and anything else with 404. The
// variables lead a command line to it.
func server(t *testing.T, answers map[string]any) (env []string) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, ok := answers[r.URL.Path]
		if r.URL.Query().Get("active") == "true" {
			v = []client.Rollout{}
		}
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			v = client.Problem{Status: http.StatusNotFound, Code: "T0802", Detail: "there is nothing at " + r.URL.Path}
		}
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(srv.Close)
	return []string{"TITRATE_SERVER=" + srv.URL, "TITRATE_TOKEN=t"}
}

// tiny is a server with one app: release r7, workload web at v5, in production.
func tiny(t *testing.T) (env []string) {
	t.Helper()
	app := client.App{Name: "tiny", Release: 7, Environments: []client.Environment{{Name: "production", Workloads: []client.Workload{
		{Name: "web", Health: "healthy", Versions: []client.Version{{Version: 5, Release: 7}}},
	}}}}
	done := client.Rollout{
		ID: 6, App: "tiny", Env: "production", Release: 7, Outcome: "promoted", Phase: "ended",
		Members: []client.Member{{Workload: "web", Stable: 4, Candidate: 5, Instances: 1}},
	}
	return server(t, map[string]any{
		"/api/v1/server":             client.Server{Node: "up"},
		"/api/v1/apps":               []client.App{app},
		"/api/v1/apps/tiny":          app,
		"/api/v1/apps/tiny/releases": []client.Release{{Number: 7, Rollouts: []client.Rollout{done}}},
		"/api/v1/apps/tiny/environments/production/secrets": []client.Secret{},
		"/api/v1/rollouts":       []client.Rollout{done},
		"/api/v1/apps/tiny/logs": client.LogLine{Workload: "web", Version: 5, Text: "hello"},
	})
}

// A process that was killed for its memory is told as such for as long as the one
// after it runs.
func TestStatus_tellsHowAnInstanceEndedThatWasStartedAgain(t *testing.T) {
	t.Parallel()
	env := server(t, map[string]any{
		"/api/v1/server": client.Server{Node: "up"},
		"/api/v1/apps": []client.App{{Name: "tiny", Environments: []client.Environment{{Name: "production", Workloads: []client.Workload{{
			Name: "web", Health: "healthy", Versions: []client.Version{{Version: 5, Release: 7, Restarts: 2}},
			Instances: []client.Instance{{ID: "web-v5-a", State: "ready", Restarts: 2, Last: "was killed: it used more than its memory limit of 256 MB after 2s"}},
		}}}}}},
	})
	out, said, code := call(t, "", env, "status")
	if want := "web-v5-a was started again (2 restarts): it was killed: it used more than its memory limit of 256 MB after 2s"; code != exitDone || !strings.Contains(out, want) {
		t.Errorf("exit code %d\n%s%s", code, out, said)
	}
}

// A slip must not pass for "nothing to do": what does not exist is used wrongly,
// and what does is told.
func TestKnown_whatDoesNotExistIsUsedWrongly(t *testing.T) {
	t.Parallel()
	env := tiny(t)
	for line, want := range map[string]string{
		"rollout abort tiny@v99":     "saw     v1 to v5",
		"rollout abort tiny/web@v99": "tiny/web has no version v99",
		"rollout promote tiny@r99":   "saw     r1 to r7",
		"rollout pause tiny/nope":    "saw     web",
		"rollout resume -e nope":     "saw     production",
		"rollout abort nope":         "there is no app nope",
		"rollout abort web":          "tiny/web",
		"rollout status -e nope":     "saw     production",
		"rollback tiny@v99":          "--to",
		"rollback 6":                 "--to",
		"rollback -e nope":           "saw     production",
		"rollback tiny/nope":         "saw     web",
		"rollout status 0":           "numbered from 1",
		"status -e nope":             "saw     production",
		"status tiny -e nope":        "saw     production",
		"status tiny/nope":           "saw     web",
		"status tiny@v99":            "saw     v1 to v5",
		"status nope":                "there is no app nope",
		"logs tiny/nope":             "saw     web",
		"logs tiny@v99":              "saw     v1 to v5",
		"logs tiny@r99":              "saw     r1 to r7",
		"logs -e nope":               "saw     production",
		"history nope":               "there is no app nope",
		"history -e nope":            "saw     production",
		"secret ls -e nope":          "saw     production",
	} {
		out, said, code := call(t, "", env, strings.Fields(line)...)
		if code != exitUsage || !strings.Contains(said, want) || out != "" {
			t.Errorf("%s: exit code %d, %q on stdout\n%s", line, code, out, said)
		}
	}
	for line, want := range map[string]int{
		"rollout abort tiny@v5":   exitDone,   // nothing is in progress, as it was asked for
		"rollout pause tiny@v5":   exitPolicy, // that cannot be
		"rollout set-weight 5":    exitPolicy,
		"rollout status tiny@v5":  exitDone,
		"status tiny/web@v5":      exitDone,
		"status -e production":    exitDone,
		"history -e production":   exitDone,
		"secret ls -e production": exitDone,
		"logs tiny@r7":            exitDone,
	} {
		if _, said, code := call(t, "", env, strings.Fields(line)...); code != want {
			t.Errorf("%s: exit code %d, want %d\n%s", line, code, want, said)
		}
	}
}

// Why a workload is not healthy stands below it, so that nobody must look for it.
func TestStatus_saysWhyAWorkloadIsDegraded(t *testing.T) {
	t.Parallel()
	env := server(t, map[string]any{
		"/api/v1/server": client.Server{Node: "up"},
		"/api/v1/apps": []client.App{{Name: "tiny", Environments: []client.Environment{{Name: "production", Workloads: []client.Workload{{
			Name: "mail", Health: "degraded", Why: "20 of the last 20 calls of v5 failed (100 %): 20 timeouts; its alarm is errors > 1%",
		}}}}}},
	})
	out, said, code := call(t, "", env, "status")
	if want := "mail  ▲ degraded"; code != exitDone || !strings.Contains(out, want) || !strings.Contains(out, "│  ▲ 20 of the last 20 calls of v5 failed") {
		t.Errorf("exit code %d\n%s%s", code, out, said)
	}
}
