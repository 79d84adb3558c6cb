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
	said := strings.TrimSpace(string(out))
	if strings.Contains(said, "Unknown key") && strings.Contains(said, "DelegateSubgroup") && !strings.Contains(said, "\n") {
		return // it is ignored before systemd 254
	}
	if err != nil || strings.Contains(said, "titrate") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Where systemd ignores DelegateSubgroup=, titrate divides its group only if the unit joins
// it again: one without the other is a unit without limits, or one that does not start again.
func TestUnits_groupIsJoinedAgainWhereTitrateDividesIt(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../packaging/systemd/titrate.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"Delegate=yes", "DelegateSubgroup=titrate.main", "Environment=TITRATE_UNDIVIDES=yes", "ExecStopPost=-/usr/bin/titrate __undivide"} {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("the unit does not say %s", line)
		}
	}
}

// After a start of the machine containers backed off, because their engine came later.
func TestUnits_startAfterTheEngine(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../packaging/systemd/titrate.service")
	if err != nil || !strings.Contains(string(text), "\nAfter=docker.service podman.socket\n") {
		t.Error("the engine may start after titrate, and stop before it", err)
	}
}

// systemd rates how far what runs in the unit is from the rest of the machine: 10 is
// not at all. What is left out of it must not grow unseen.
func TestUnits_areFarFromTheRestOfTheMachine(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed: apt-get install systemd")
	}
	const most = "60" // tenths
	out, err := exec.CommandContext(t.Context(), analyze, "security", "--offline=true", "--no-pager", "--threshold="+most, "../packaging/systemd/titrate.service").CombinedOutput()
	if strings.Contains(string(out), "unrecognized option") {
		t.Skip("systemd is older than 250")
	}
	if err != nil || !strings.Contains(string(out), "Overall exposure level") {
		t.Errorf("%v\n%s", err, out)
	}
}

// AppArmor reads the profile as Ubuntu's does, where it is new enough to.
func TestUnits_appArmorUnderstandsTheProfile(t *testing.T) {
	t.Parallel()
	parser, err := exec.LookPath("apparmor_parser")
	if err != nil {
		t.Skip("apparmor_parser is not installed: apt-get install apparmor")
	}
	if out, err := exec.CommandContext(t.Context(), parser, "--version").Output(); err != nil || strings.Contains(string(out), " 2.") || strings.Contains(string(out), " 3.") {
		t.Skipf("it does not know of user namespaces: %s, %v", out, err)
	}
	out, err := exec.CommandContext(t.Context(), parser, "--skip-kernel-load", "--skip-cache", "../packaging/apparmor/titrate").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
