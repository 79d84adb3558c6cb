package api

import (
	"testing"

	"titrate/client"
)

func TestR10_aRolloutNamesTheAddressOfItsCandidateWhileItRuns(t *testing.T) {
	t.Parallel()
	i := install(t)
	first := i.release(t, "one", over)
	if m := first.Members[0]; m.Preview != "" {
		t.Errorf("what is over has a preview: %s", m.Preview)
	}
	second := i.release(t, "two", func(r client.Rollout) bool { return r.Weight == 10 && r.Members[0].Ready > 0 })
	if m := second.Members[0]; m.Preview != "shop/production/web v2 for 1h0m0s" {
		t.Errorf("preview: %q", m.Preview)
	}
}
