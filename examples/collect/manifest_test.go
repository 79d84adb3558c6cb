package collect_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"titrate/examples/collect"
	"titrate/internal/manifest"
)

// parsed is a repository's titrate.yaml as Titrate reads it.
func parsed(t *testing.T, o collect.Options) *manifest.App {
	t.Helper()
	files, err := collect.Files(collect.V1, o)
	if err != nil {
		t.Fatal(err)
	}
	app, problems := manifest.Parse([]byte(files["titrate.yaml"]), "titrate.yaml", manifest.Folders(slices.Collect(maps.Keys(files)))...)
	if app == nil || len(problems) > 0 {
		t.Fatal(problems)
	}
	return app
}

// The folders of the repository are 64 functions and a ledger, one group, each function
// called by something, and all in Go are the same build.
func TestManifest_namesEveryFunction(t *testing.T) {
	t.Parallel()
	for _, o := range []collect.Options{{}, {Quick: true}, {Node: true, Python: true, Quick: true}} {
		app := parsed(t, o)
		env := app.Environments[0]
		if len(env.Services) != 65 || len(app.Together) != 1 || len(app.Together[0]) != 65 || env.Waves != 16 {
			t.Errorf("%+v: %d workloads, together %d", o, len(env.Services), len(app.Together))
		}
		own := map[string]bool{}
		for _, s := range env.Services {
			if want := "collect.localhost"; (s.Route != "" || s.Function != nil && len(s.Function.Triggers.Routes) > 0) && s.Host != want {
				t.Errorf("%s answers at %q", s.Name, s.Host)
			}
			if s.Function == nil {
				continue
			}
			f := s.Function
			if n := len(f.Triggers.Routes) + len(f.Triggers.Schedules) + len(f.Triggers.Queues) + len(f.Triggers.Topics); n != 1 {
				t.Errorf("%s is called by %+v", s.Name, f.Triggers)
			}
			if s.Name != strings.ReplaceAll(f.Path, "/", "-") || string(f.Run.Probe) != `{"probe":true}` {
				t.Errorf("%s is %s, probed by %s", s.Name, f.Path, f.Run.Probe)
			}
			if s.Build.Dir != "." {
				own[s.Build.Dir] = true
			}
		}
		if want := 2 * len(slices.DeleteFunc([]bool{o.Node, o.Python}, func(b bool) bool { return !b })); len(own) != want {
			t.Errorf("%+v: %v are built by themselves", o, own)
		}
	}
}
