package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhere_tellsWhatEachServiceGoesBy(t *testing.T) {
	t.Parallel()
	src := []byte(`titrate: 1
app: shop
defaults:
  rollout: AllAtOnce
  alarms: { errors: 5xx > 1% }
services:
  web:
    rollout: { steps: [10% for 1m, 100%] }
    env: { rollout: "no key", bake: "none either" }
    alarms: { latency: p99 > 1s }
  api: { route: /api }
environments:
  uat: { deploy: main, rollout: blueGreen }
  production:
    services: { api: { rollout: Canary10Percent5Minutes } }
`)
	app, problems := Parse(src, "titrate.yaml")
	if app == nil {
		t.Fatal(problems)
	}
	written, origins := Where(src, app, "rollout")
	if d := cmp.Diff([]Written{
		{"defaults.rollout", 4, "AllAtOnce"},
		{"services.web.rollout", 8, "{steps: [10% for 1m, 100%]}"},
		{"environments.uat.rollout", 13, "blueGreen"},
		{"environments.production.services.api.rollout", 15, "Canary10Percent5Minutes"},
	}, written); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Origin{
		{"uat", "web", []string{"environments.uat.rollout"}},
		{"uat", "api", []string{"environments.uat.rollout"}},
		{"production", "web", []string{"services.web.rollout"}},
		{"production", "api", []string{"environments.production.services.api.rollout"}},
	}, origins); d != "" {
		t.Error(d)
	}
	// Entries are merged: both places count.
	if _, origins = Where(src, app, "alarms"); len(origins) != 4 || len(origins[0].From) != 2 || len(origins[1].From) != 1 {
		t.Errorf("%+v", origins)
	}
	// A variable is no key, and a default stands nowhere.
	if written, origins = Where(src, app, "bake"); len(written) != 0 || len(origins[0].From) != 0 {
		t.Errorf("%+v %+v", written, origins)
	}
	if written, origins = Where(src, app, "steps"); len(written) != 1 || written[0].Path != "services.web.rollout.steps" || origins != nil {
		t.Errorf("%+v %+v", written, origins)
	}
}
