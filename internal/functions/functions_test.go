package functions

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"titrate/internal/controller"
	"titrate/internal/rollout"
)

func TestName_isTheWorkloadsOfAPath(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"api/pickups/[id]/get": "api-pickups-id-get", "api-pickups-get": "api-pickups-get", "jobs/Nightly_Report/": "jobs-nightly-report",
		"on/{stock-low}": "on-stock-low", "": "", "///": "", "é": "",
	} {
		if got := Name(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func running(v rollout.Version, w rollout.Weight) Running {
	return Running{VersionStatus: controller.VersionStatus{Version: v, Asked: w}}
}

func TestWaiting_isTheVersionThatAProbeIsFor(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		f    Function
		want rollout.Version
	}{
		"a candidate at 0 %":        {Function{Stable: 3, Candidate: 4, Running: []Running{running(3, rollout.Full), running(4, 0)}}, 4},
		"one that has events":       {Function{Stable: 3, Candidate: 4, Running: []Running{running(3, 9000), running(4, 1000)}}, 0},
		"no rollout":                {Function{Stable: 3, Running: []Running{running(3, rollout.Full)}}, 0},
		"an old one that drains":    {Function{Stable: 4, Running: []Running{running(3, 0), running(4, rollout.Full)}}, 0},
		"a rollback that begins":    {Function{Stable: 4, Candidate: 2, Running: []Running{running(2, 0), running(4, rollout.Full)}}, 2},
		"a first release at 0 %":    {Function{Candidate: 1, Running: []Running{running(1, 0)}}, 1},
		"nothing runs":              {Function{Stable: 1}, 0},
		"a candidate not yet there": {Function{Stable: 1, Candidate: 2, Running: []Running{running(1, rollout.Full)}}, 0},
	} {
		if got := c.f.Waiting(); got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	got := Describe(rollout.Triggers{
		Routes: []string{"GET /a"}, Schedules: []rollout.ScheduleTrigger{{Expression: "rate(5 minutes)"}, {Expression: "0 2 * * *", Zone: "Europe/Berlin"}},
		Queues: []rollout.QueueTrigger{{Queue: rollout.Queue{Name: "orders"}}}, Topics: []string{"inventory"},
	})
	if diff := cmp.Diff([]string{"GET /a", "rate(5 minutes)", "0 2 * * * in Europe/Berlin", "queue orders", "topic inventory"}, got); diff != "" {
		t.Error(diff)
	}
	if got := Describe(rollout.Triggers{}); got == nil || len(got) != 0 {
		t.Errorf("%#v", got)
	}
}

func TestNameError_saysWhatMayBeMeant(t *testing.T) {
	t.Parallel()
	e := &NameError{App: "shop", Env: "uat", Name: "pickups/get", Near: near("pickups-get", []string{"site", "api-pickups-get", "api-pickups-list"})}
	if !errors.Is(e, rollout.ErrUnknown) || !strings.Contains(e.Error(), "saw     api-pickups-get, api-pickups-list\n") || !strings.Contains(e.Error(), "help    titrate fn ls --app shop --env uat") {
		t.Error(e)
	}
}
