package daemon

import (
	"strings"
	"testing"

	"titrate/internal/controller"
	"titrate/internal/rollout"
)

func TestTell_claimsThatAllIsAsPushedOnlyWhereItIs(t *testing.T) {
	t.Parallel()
	k := rollout.Key{App: "cofe", Env: "production", Workload: "orders"}
	for what, as := range map[controller.EffectKind]bool{
		controller.Unchanged: true, controller.Behind: false, controller.Orphaned: false, controller.InProgress: false,
	} {
		var out strings.Builder
		(&server{}).tell(t.Context(), controller.Delivered{
			App: "cofe", Release: 7, Envs: []string{"production"}, Workloads: []controller.Effect{{Key: k, What: what, Why: "aborted by ana"}},
		}, &out)
		if got := strings.Contains(out.String(), "what runs is what was pushed"); got != as {
			t.Errorf("%s: %s", what, out.String())
		}
	}
}
