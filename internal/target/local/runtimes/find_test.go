package runtimes_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"titrate/internal/target/local/runtimes"
)

// stand is an interpreter that tells the version it is given.
func stand(t *testing.T, says string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "interpreter")
	script, err := filepath.Abs("testdata/interpreter")
	if err != nil {
		t.Fatal(err)
	}
	// A link: a program written here could be refused as busy, while another test's child still holds it open for writing.
	if err := os.Symlink(script, path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".said", []byte(says), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFind_prefersTheAskedVersionAndRefusesAnOlderOne(t *testing.T) {
	t.Parallel()
	node20, python311, python312 := stand(t, "v20.20.2\n"), stand(t, "Python 3.11.7\n"), stand(t, "Python 3.12.1\n")
	node16, odd := stand(t, "v16.1.0\n"), stand(t, "hello\n")
	for _, c := range []struct {
		name string
		have map[string]string
		path string
		kind runtimes.Kind
	}{
		{"nodejs18.x", map[string]string{"node": node20}, node20, ""},
		{"nodejs22.x", map[string]string{"node": node20}, "", runtimes.InterpreterTooOld},
		{"nodejs", map[string]string{"node": node16}, "", runtimes.InterpreterTooOld},
		{"nodejs16.x", map[string]string{"node": node16}, "", runtimes.InterpreterTooOld},
		{"nodejs", map[string]string{"node": odd}, "", runtimes.InterpreterBroken},
		{"nodejs", nil, "", runtimes.InterpreterMissing},
		{"python3.12", map[string]string{"python3": python311, "python3.12": python312}, python312, ""},
		{"python3.11", map[string]string{"python3": python312}, python312, ""},
		{"python3.12", map[string]string{"python3": python311}, "", runtimes.InterpreterTooOld},
		{"python3.12", nil, "", runtimes.InterpreterMissing},
		{"ruby3.3", nil, "", runtimes.UnknownRuntime},
		{"go", nil, "", ""},
	} {
		f := runtimes.Finder{Look: func(command string) (string, error) {
			if path := c.have[command]; path != "" {
				return path, nil
			}
			return "", exec.ErrNotFound
		}}
		r, err := f.Find(t.Context(), c.name)
		var e *runtimes.Error
		if c.kind != "" {
			if !errors.As(err, &e) || e.Kind != c.kind || e.Next == "" {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil || r.Path != c.path {
			t.Errorf("%s: %+v, %v", c.name, r, err)
		}
	}
}

func TestParse_readsTheNamesOfAWS(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		family  runtimes.Family
		version runtimes.Version
	}{
		"nodejs22.x": {runtimes.Node, runtimes.Version{Major: 22}}, "nodejs22": {runtimes.Node, runtimes.Version{Major: 22}}, "node": {runtimes.Node, runtimes.Version{}},
		"python3.12": {runtimes.Python, runtimes.Version{Major: 3, Minor: 12}}, "python3": {runtimes.Python, runtimes.Version{Major: 3}},
		"provided": {runtimes.Provided, runtimes.Version{}}, "provided.al2023": {runtimes.Provided, runtimes.Version{}}, "go1.x": {runtimes.Provided, runtimes.Version{}},
	} {
		family, version, err := runtimes.Parse(name)
		if err != nil || family != want.family || version != want.version {
			t.Errorf("%s: %s %s, %v", name, family, version, err)
		}
	}
	for _, name := range []string{"", "ruby", "nodejs.x", "nodejsx", "node-22", "python2.7", "python3.", "python3.12.x", "nodejs99999", "java21"} {
		if family, version, err := runtimes.Parse(name); err == nil {
			t.Errorf("%q was read as %s %s", name, family, version)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"nodejs22.x", "python3.12", "provided.al2023", "go", "python3.", ""} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		family, version, err := runtimes.Parse(name)
		if (err == nil) != (family != "") || version.Major < 0 || version.Minor < 0 || version.Major > 9999 || version.Minor > 9999 {
			t.Errorf("%q: %q %v %v", name, family, version, err)
		}
	})
}
