package cli

import (
	"strings"
	"testing"
	"time"

	"titrate/client"
)

func TestR25_statusSaysWhatBecameOfFailures(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	drawWorkload(&out, "production", client.Workload{Name: "orders", Versions: []client.Version{
		{Version: 1, Role: "stable"},
		{Version: 2, Role: "candidate", Shielded: 12, Failures: 3, Unshielded: client.Unshielded{Method: 2, Budget: 1}},
		{Version: 3, Role: "candidate", Shielded: 1, Failures: 1, Unshielded: client.Unshielded{Status: 1}},
	}})
	for _, want := range []string{"12 shielded, 3 failures served (method 2, budget spent 1)\n", "1 shielded, 1 failure served (status 1)\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it is not said that %q:\n%s", want, out.String())
		}
	}
	if strings.Count(out.String(), "shielded") != 2 {
		t.Errorf("stable has no shield:\n%s", out.String())
	}
}

func TestR26_aRolloutShowsItsDamageBudget(t *testing.T) {
	t.Parallel()
	for _, r := range []client.Rollout{{Damage: "50 requests"}, {Damage: "50 requests", Outcome: "promoted"}, {}} {
		var out strings.Builder
		drawRollout(&out, r, time.Now())
		if got, want := strings.Contains(out.String(), "damage budget: 50 requests"), r.Damage != "" && r.Outcome == ""; got != want {
			t.Errorf("%+v is shown as\n%s", r, out.String())
		}
	}
}
