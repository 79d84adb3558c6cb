package local

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestConformance_asAUserThatIsNotRoot runs the tests of images once more, as nobody:
// with no other users, and with those that /etc/subuid gives.
func TestConformance_asAUserThatIsNotRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("we are not root: the others do it")
	}
	for _, given := range []string{"", "nobody:1000000:65536\n"} {
		t.Run(fmt.Sprintf("with %d others", 65536*len(given)/len("nobody:1000000:65536\n")), func(t *testing.T) {
			t.Parallel()
			if given != "" {
				for _, program := range []string{"newuidmap", "newgidmap", "unshare", "setpriv"} {
					if _, err := exec.LookPath(program); err != nil {
						t.Skip(err, ": apt-get install uidmap util-linux")
					}
				}
			}
			keepsAsNobody(t, given)
		})
	}
}

// asNobody runs the rest of the command as nobody with the capabilities that
// packaging/systemd/users.conf leaves programs to gain, where /etc/subuid and /etc/subgid are
// what is given in $1: in a mount namespace of its own.
const asNobody = `set -e
printf %s "$1" >"$0/sub"; chmod 644 "$0/sub"; shift
mount --make-rprivate /
for f in /etc/subuid /etc/subgid; do [ ! -e $f ] || mount --bind "$0/sub" $f; done
exec setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all,+setuid,+setgid,+dac_override,+sys_admin "$@"`

func keepsAsNobody(t *testing.T, given string) {
	t.Helper()
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
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-c", asNobody, dir, given,
		program, "-test.run=^(TestConformance|TestImage_.*)$", "-test.skip=^TestConformance$/^process$", "-test.v", "-test.parallel=4")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if strings.Contains(string(out), "error[T0560]") {
		t.Skipf("users cannot make namespaces here:\n%s", out)
	}
	kept := strings.Count(string(out), "--- PASS: TestConformance/namespaces/")
	if strings.Contains(string(out), "--- SKIP: TestConformance/namespaces/limits_are_kept") {
		kept++ // users can make no control groups on most machines
	}
	if kept != len(promises) {
		t.Errorf("%d of %d promises were kept", kept, len(promises))
	}
}
