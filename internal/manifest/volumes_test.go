package manifest

import (
	"reflect"
	"testing"

	"titrate/internal/rollout"
)

// TestR31_aVolumeThatIsNotSharedMovesAtOnce holds that strategies, which are written
// for all services, do not reach one whose versions change places.
func TestR31_aVolumeThatIsNotSharedMovesAtOnce(t *testing.T) {
	t.Parallel()
	app, problems := Parse([]byte(`titrate: 1
app: shop
defaults: { rollout: blueGreen, rollback: gradual, scale: 2 }
services:
  store: {}
  orders: { scale: 1, volumes: { data: /var/lib/orders, cache: { path: /cache, shared: true } } }
  files: { volumes: { all: { path: /files, shared: true } } }
environments:
  uat: { rollout: Canary10Percent5Minutes }
`), File)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	want := rollout.Volumes{"data": {Path: "/var/lib/orders"}, "cache": {Path: "/cache", Shared: true}}
	for _, again := range []*App{app, reread(t, app)} {
		env, _ := again.Environment("uat")
		s, _ := env.Service("orders")
		p := env.Plan("orders")
		if !reflect.DeepEqual(s.Volumes, want) || p.Strategy != "AllAtOnce" || !reflect.DeepEqual(p.Steps, []rollout.Step{{Weight: rollout.Full}}) || p.FullCapacity || p.Keep != 0 || p.Gradual {
			t.Errorf("volumes %v, plan %+v", s.Volumes, p)
		}
		for _, name := range []string{"store", "files"} {
			if p := env.Plan(name); len(p.Steps) != 2 {
				t.Errorf("%s moves by %+v", name, p.Steps)
			}
		}
	}
}

// reread writes an app out in full and reads it again.
func reread(t *testing.T, app *App) *App {
	t.Helper()
	again, problems := Parse([]byte(Expand(app)), File)
	if err := problems.Err(); err != nil {
		t.Fatalf("%v\n%s", err, Expand(app))
	}
	return again
}
