package test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// smallDisk says that the process has mounts of its own.
const smallDisk = "TITRATE_TEST_SMALL_DISK"

// TestDisk runs testdata/disk/*.txtar with a data folder on a small disk of its own,
// in a mount namespace of its own.
func TestDisk(t *testing.T) {
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("set TITRATE_TEST_SLOW=1 to run it")
	}
	if os.Getenv(smallDisk) == "" {
		t.Parallel()
		if os.Geteuid() != 0 {
			t.Skip("only root may mount a disk")
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDisk$", "-test.v")
		cmd.Env = append(os.Environ(), smallDisk+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS} // what is mounted there is seen there only
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	scripts(t, "testdata/disk", func(e *testscript.Env) {
		data := e.Getenv("DATA")
		if err := errors.Join(os.MkdirAll(data, 0o700), unix.Mount("tmpfs", data, "tmpfs", 0, "mode=700,size=700m")); err != nil {
			t.Fatal(err)
		}
		vars := slices.Clone(e.Vars)
		e.Defer(func() {
			takeDown(vars, bin, data)
			if err := unix.Unmount(data, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	})
}

// diskKey is the folder whose disk a script looks at, where it is not the data folder's.
type diskKey struct{}

// commandRoom remembers how much of the small disk is used, or sees that it
// is not more than that any more. It waits for that, because an engine puts away what a
// failed pull left behind after it has answered, and on a busy machine long after.
func commandRoom(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: room mark|back")
	}
	mark := filepath.Join(ts.Getenv("WORK"), "used")
	disk, ok := ts.Value(diskKey{}).(string)
	if !ok {
		disk = ts.Getenv("DATA")
	}
	used := func() int64 {
		var st unix.Statfs_t
		ts.Check(unix.Statfs(disk, &st))
		return (int64(st.Blocks) - int64(st.Bfree)) * st.Bsize
	}
	if args[0] == "mark" {
		ts.Check(os.WriteFile(mark, []byte(strconv.FormatInt(used(), 10)), 0o600))
		return
	}
	before, err := strconv.ParseInt(ts.ReadFile(mark), 10, 64)
	ts.Check(err)
	const news = 4 << 20 // releases and logs
	until(ts, func() (string, bool) {
		more := used() - before
		return fmt.Sprintf("%d MB more are used than before", more>>20), more <= news
	})
}
