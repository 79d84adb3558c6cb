package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func hostArch() string { return runtime.GOARCH }

// root is a machine's file system with dpkg's data and nothing else.
type root struct {
	t   *testing.T
	dir string
}

func newRoot(t *testing.T) root {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("dpkg installs as root only")
	}
	for _, tool := range []string{"dpkg", "systemctl", "systemd-sysusers"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
	r := root{t, t.TempDir()}
	r.write("var/lib/dpkg/status", "")
	return r
}

func (r root) at(elem ...string) string {
	return filepath.Join(append([]string{r.dir}, elem...)...)
}

func (r root) write(name, text string) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.at(name)), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(r.at(name), []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// dpkg runs it on this root. Scripts see DPKG_ROOT and stay in it.
func (r root) dpkg(args ...string) {
	r.t.Helper()
	cmd := exec.Command("dpkg", append([]string{"--root=" + r.dir, "--force-script-chrootless", "--force-depends", "--force-confdef", "--force-confold"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("dpkg %v: %v\n%s", args, err, out)
	}
}

func (r root) has(name string) bool {
	_, err := os.Lstat(r.at(name))
	return err == nil
}

var units = []string{
	"etc/systemd/system/multi-user.target.wants/titrate.service",
	"etc/systemd/system/sockets.target.wants/titrate-api.socket",
	"etc/systemd/system/sockets.target.wants/titrate-gateway.socket",
}

// Installed, upgraded, removed and purged: data stays until the purge, what somebody
// has configured stays, and who has disabled the unit is not overruled.
func TestDeb_livesAsADebianPackageShould(t *testing.T) {
	t.Parallel()
	dir := released(t)
	r := newRoot(t)
	package1 := filepath.Join(dir, "titrate_"+version+"_"+hostArch()+".deb")
	r.dpkg("--install", package1)
	out, err := exec.Command(r.at("usr/bin/titrate"), "--version").Output()
	if err != nil || string(out) != "titrate "+version+"\n" {
		t.Errorf("got %q, %v", out, err)
	}
	users, err := os.ReadFile(r.at("etc/passwd"))
	if err != nil || !strings.Contains(string(users), "titrate:x:") || !strings.Contains(string(users), ":/var/lib/titrate:/usr/sbin/nologin") {
		t.Errorf("users: %s, %v", users, err)
	}
	for _, unit := range units {
		if !r.has(unit) {
			t.Errorf("%s is not enabled", unit)
		}
	}

	for _, file := range []string{"usr/share/titrate/users.conf", "usr/share/titrate/apparmor"} { // docs and doctor say how they are used
		if !r.has(file) {
			t.Errorf("there is no %s", file)
		}
	}
	if out, err := exec.Command("dpkg-deb", "--field", package1, "Recommends").Output(); err != nil || string(out) != "ca-certificates, slirp4netns, uidmap\n" {
		t.Errorf("it recommends %q, %v", out, err)
	}

	demo := exec.Command(r.at("usr/bin/titrate"), "demo", "--check")
	demo.Env = []string{"PATH=" + onlyGit(t), "HOME=" + r.dir}
	if out, err := demo.CombinedOutput(); err != nil || !strings.Contains(string(out), "There is no Go here") {
		t.Errorf("the demo: %v\n%s", err, out)
	}

	const mine = "TITRATE_FLAGS=--network\n"
	r.write("etc/default/titrate", mine)
	r.write("var/lib/titrate/server/titrate.db", "data")
	if err := os.Chmod(r.at("var/lib/titrate/server"), 0o500); err != nil { // as artifacts are
		t.Fatal(err)
	}
	for _, unit := range units {
		if err := os.Remove(r.at(unit)); err != nil {
			t.Fatal(err)
		}
	}
	r.dpkg("--install", nextVersion(t, package1))
	if text, _ := os.ReadFile(r.at("etc/default/titrate")); string(text) != mine {
		t.Errorf("the upgrade has written %q", text)
	}
	if r.has(units[0]) || !r.has("var/lib/titrate/server/titrate.db") {
		t.Error("the upgrade has enabled the unit, or lost data")
	}
	r.dpkg("--install", package1) // and back

	r.dpkg("--remove", "titrate")
	if r.has("usr/bin/titrate") || !r.has("var/lib/titrate/server/titrate.db") || !r.has("etc/default/titrate") {
		t.Error("a removal takes the program, and keeps data and configuration")
	}
	r.dpkg("--purge", "titrate")
	if r.has("var/lib/titrate") || r.has("etc/default/titrate") || r.has(units[0]) {
		t.Error("a purge leaves nothing")
	}
}

// onlyGit is a folder with git and a shell, and no Go.
func onlyGit(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, tool := range []string{"git", "sh"} {
		at, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(at, filepath.Join(dir, tool)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// nextVersion is a package as the next version's, made from this one.
func nextVersion(t *testing.T, from string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("dpkg-deb", "--raw-extract", from, dir+"/x").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	control := dir + "/x/DEBIAN/control"
	text, err := os.ReadFile(control)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "Version: "+version, "Version: 1.3.0", 1)
	if err := os.WriteFile(control, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("dpkg-deb", "-Zgzip", "-z1", "--build", dir+"/x", dir+"/next.deb").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir + "/next.deb"
}

// The scripts are for any shell that Debian has as sh.
func TestDeb_scriptsAreForAnyShell(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		if out, err := exec.Command("sh", "-n", "../../packaging/deb/"+script).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
}

func TestVersion_ofAReleaseCandidateSortsBeforeItsRelease(t *testing.T) {
	t.Parallel()
	r := release{version: "1.2.0-rc1"}
	if err := exec.Command("dpkg", "--compare-versions", r.debVersion(), "lt", "1.2.0").Run(); err != nil {
		t.Error(r.debVersion(), err)
	}
	if err := run(t.Context(), []string{"-version", "v1"}, os.Stderr); err == nil {
		t.Error("v1 is taken for a version")
	}
}
