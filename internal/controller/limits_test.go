package controller_test

import (
	"encoding/json"
	"strings"
	"testing"

	"titrate/internal/rollout"
)

// TestR1_aChangedLimitIsANewVersion and none of what is limited reaches a version
// that was made before there were limits.
func TestR1_aChangedLimitIsANewVersion(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for i, step := range []struct {
		says string
		want int
		what string
		runs rollout.Limits
	}{
		{"", 1, "", rollout.Limits{}},
		{"limits: { memory: none }", 0, "", rollout.Limits{}},
		{"limits: { memory: 256MB, cpu: 0.5 }", 1, "limit memory limit cpu", rollout.Limits{Memory: 256 << 20, CPU: 500}},
		{"limits: { memory: 0.25GB, cpu: 0.5 }", 0, "", rollout.Limits{Memory: 256 << 20, CPU: 500}},
		{"limits: { memory: 256MB, processes: 200 }, readOnly: true", 1, "limit cpu limit processes readOnly", rollout.Limits{Memory: 256 << 20, Processes: 200}},
	} {
		d := delivery(t, "titrate: 1\napp: cofe\ndefaults: { rollout: AllAtOnce, bake: 0, drain: 0 }\nservices:\n  orders: { "+step.says+" }\n",
			map[string]string{"orders": strings.Repeat("a", 64)})
		d.Commit = step.says
		got, err := p.Deliver(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Rollouts) != step.want || strings.Join(got.Workloads[0].Changed, " ") != step.what {
			t.Errorf("%d: %+v", i, got)
		}
		for _, id := range got.Rollouts {
			p.ended(id, rollout.Promoted)
		}
		for _, f := range p.hands.fleets("orders") {
			if f.Limits != step.runs || f.ReadOnly != strings.Contains(step.says, "readOnly") {
				t.Errorf("%d: %+v", i, f)
			}
		}
	}
	// Digests are made of this text: those that are stored must stay as they are.
	if b, err := json.Marshal(rollout.VersionConfig{Port: 1}); err != nil || string(b) != `{"port":1}` {
		t.Errorf("%s, %v", b, err)
	}
}

// TestRestarts_areToldWithHowTheLastInstanceEnded so that a kill for memory is not
// taken for a crash.
func TestRestarts_areToldWithHowTheLastInstanceEnded(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	text := strings.Replace(cofe, "5xx > 1% for 2s", "restarts > 1 for 2s", 1)
	for _, id := range p.deliver(text, map[string]string{"orders": "o1", "payments": "p1"}).Rollouts {
		p.ended(id, rollout.Promoted)
	}
	p.hands.falling = map[string]string{"orders v2": "was killed: it used more than its memory limit of 256 MB after 2s"}
	r := p.ended(p.deliver(text, map[string]string{"orders": "o2", "payments": "p1"}).Rollouts[0], rollout.RolledBack)
	if !strings.Contains(r.State.Why+r.State.Back.Why, "restarts in 2 s, limit 1; orders-v2-a was killed: it used more than its memory limit of 256 MB") {
		t.Errorf("%+v", r.State)
	}
}
