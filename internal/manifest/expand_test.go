package manifest

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// equal compares apps but for where they stand in the file, and the names of
// strategies, which the long form does not have.
func equal(a, b *App) string {
	return cmp.Diff(a, b, cmpopts.IgnoreFields(Service{}, "Line", "Strategy"), cmpopts.IgnoreFields(Environment{}, "Line"))
}

func TestExpandIsTheSameApp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		src := manifests().Draw(t, "manifest")
		app, problems := Parse([]byte(src), File)
		if app == nil {
			t.Fatalf("refused:\n%s\n%s", src, problems)
		}
		long := Expand(app)
		again, problems := Parse([]byte(long), File)
		if again == nil {
			t.Fatalf("the long form is refused:\n%s\n%s", long, problems)
		}
		if diff := equal(app, again); diff != "" {
			t.Fatalf("%s\n%s\n%s", src, long, diff)
		}
		if twice := Expand(again); cmp.Diff(stripComments(long), stripComments(twice)) != "" {
			t.Fatalf("expanding twice: %s", cmp.Diff(long, twice))
		}
		if err := validate(t, []byte(src)); err != nil {
			t.Fatalf("the schema refuses what the parser takes:\n%s\n%v", src, err)
		}
		if err := validate(t, []byte(long)); err != nil {
			t.Fatalf("the schema refuses the long form:\n%s\n%v", long, err)
		}
	})
}

func TestExpandSmallest(t *testing.T) {
	t.Parallel()
	want := `titrate: 1
app: checkout

services:
  checkout:
    build: { dir: . }
    worker: false
    health: none
    scale: 1
    limits: { memory: none, cpu: none, processes: none }
    readOnly: false
    rollout: # Canary10Percent5Minutes
      steps:
        - { weight: 10%, hold: 5m }
        - { weight: 100% }
    alarms:
      errors: { metric: 5xx_rate, above: 2%, for: 1m, min: 20, missing: missing, react: rollback }
      latency: { metric: p99, above: 2x stable, for: 1m, min: 20, missing: missing, react: rollback }
    bake: 10m
    drain: 30s
    connections: drain
    startTimeout: 2m
    noDataTimeout: 30m
    noData: hold
    onSourceError: hold
    damage: none
    shield: unavailable
    rollback: atOnce

environments:
  production:
    # deploy: the repository's default branch
    overlap: next
    services:
      checkout:
        host: checkout.localhost
        route: /
`
	got := Expand(good(t, "titrate: 1\napp: checkout\ndefaults: { rollout: Canary10Percent5Minutes }\n"))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// stripComments removes the names of strategies, which become "steps".
func stripComments(s string) string { return comments.ReplaceAllString(s, "rollout:") }

var comments = regexp.MustCompile(`rollout: #.*`)
