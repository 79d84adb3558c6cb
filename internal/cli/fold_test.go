package cli

import (
	"fmt"
	"strings"
	"testing"

	"titrate/client"
)

// many is an app of so many functions, of which one is in trouble.
func many(n int) ([]client.Workload, client.Rollout) {
	r := client.Rollout{ID: 7, App: "collect", Env: "production", Release: 2, Strategy: "Linear10PercentEvery1Minute", Phase: "shifting", Step: 1, Weight: 10, Steps: make([]client.Step, 10), Opened: noon}
	var ws []client.Workload
	for i := range n {
		wl := client.Workload{
			Name: fmt.Sprintf("fn-%02d", i), Health: "healthy", Sync: "moving", Rollout: &r,
			Versions: []client.Version{
				{Version: 1, Release: 1, Commit: "77ab01c1234", Role: "stable", Asked: 90, Served: 90, Ready: 1, Wanted: 1, RPS: 2, P99: float64(i)},
				{Version: 2, Release: 2, Commit: "88ab01c1234", Role: "candidate", Asked: 10, Served: 10, Ready: 1, Wanted: 1},
			},
		}
		m := client.Member{Workload: wl.Name, Stable: 1, Candidate: 2, Instances: 1, Ready: 1, Alarms: []client.Alarm{{Name: "errors", Rule: "errors > 1% for 1m", Verdict: "pass", Requests: 40, Text: "errors was 0 %"}}}
		if i == 5 {
			wl.Versions[1].Errors = 50
			m.Alarms[0].Verdict, m.Alarms[0].Text = "inconclusive", "errors was 50 %"
			m.Ready, m.Failure = 0, "exited with status 1"
		}
		ws, r.Members = append(ws, wl), append(r.Members, m)
	}
	return ws, r
}

// Sixty functions must be seen at a glance, and the one in trouble among them.
func TestFold_manyAlikeAreToldOfAsOne(t *testing.T) {
	t.Parallel()
	ws, r := many(64)
	var b strings.Builder
	drawApp(&b, client.App{Name: "collect", Release: 2, Commit: "88ab01c1234", Environments: []client.Environment{{Name: "production", Workloads: ws}}}, false)
	b.WriteString("---\n")
	drawRollout(&b, r, noon)
	golden(t, "testdata/fold.txt", b.String())
	if n := strings.Count(b.String(), "\n"); n > 24 {
		t.Errorf("%d lines do not fit on a screen", n)
	}

	b.Reset()
	drawApp(&b, client.App{Name: "collect", Environments: []client.Environment{{Name: "production", Workloads: ws}}}, true)
	for _, w := range ws {
		if !strings.Contains(b.String(), "├─ "+w.Name+" ") {
			t.Errorf("-o wide does not list %s", w.Name)
		}
	}
}

func TestFold_fewAreListed(t *testing.T) {
	t.Parallel()
	ws, _ := many(foldAt) // one of them is not like the others
	for _, same := range fold(ws, alike) {
		if len(same) != 1 {
			t.Errorf("%d of %d are told of as one", len(same), len(ws))
		}
	}
}
