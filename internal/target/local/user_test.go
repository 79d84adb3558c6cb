package local

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestConformance_asAUserThatIsNotRoot runs the tests of images once more, as nobody.
func TestConformance_asAUserThatIsNotRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("we are not root: the others do it")
	}
	const nobody = 65534
	dir, err := os.MkdirTemp("", "titrate-nobody-") // t.TempDir is in a folder that only root may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "test")
	if err := os.WriteFile(program, b, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^(TestConformance|TestImage_.*)$", "-test.v", "-test.parallel=4")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if strings.Contains(string(out), "error[T0560]") {
		t.Skipf("users cannot make namespaces here:\n%s", out)
	}
	if n := strings.Count(string(out), "--- PASS: TestConformance/namespaces/"); n != len(promises) {
		t.Errorf("%d of %d promises were kept", n, len(promises))
	}
}
