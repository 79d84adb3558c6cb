package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// systemd itself reads the units and finds nothing to say. It is not started.
func TestUnits_systemdUnderstandsThem(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed: apt-get install systemd")
	}
	root := t.TempDir()
	for _, dir := range []string{"etc/systemd/system", "usr/bin", "bin"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"verify", "--recursive-errors=no", "--man=no"}
	units, err := filepath.Glob("../packaging/systemd/titrate*")
	if err != nil || len(units) != 3 {
		t.Fatal(units, err)
	}
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(root, filepath.Base(unit))
		// The program it names is not installed here.
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "/usr/bin/titrate", "/bin/true")), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	cmd := exec.CommandContext(t.Context(), analyze, args...)
	cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+root+":")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), "titrate") {
		t.Errorf("%v\n%s", err, out)
	}
}
