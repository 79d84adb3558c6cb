package pipeline

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// wantFault asserts that a build was refused with a code and a text.
func wantFault(t *testing.T, err error, code, saw string) {
	t.Helper()
	var e *BuildError
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Saw, saw) {
		t.Errorf("got %v, want %s: … %s …", err, code, saw)
	}
}

func TestBuild_aPipeAsOutputIsRefusedAndHoldsNothingUp(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	_, err := build(t, b, files(t, "x", "y"), shell("mkfifo out"))
	wantFault(t, err, CodeOutput, "out is neither a file nor a folder")
	_, err = build(t, b, files(t, "x", "y"), shell("mkdir out && mkfifo out/pipe"))
	wantFault(t, err, CodeOutput, "pipe is neither a file, a folder nor a link")
	if len(b.slots) != 0 {
		t.Errorf("%d slots are taken", len(b.slots))
	}
}

func TestCopyFile_doesNotWaitForAPipe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mkfifo(dir+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := copyFile(dir+"/copy", root, "pipe", func(int64) error { return nil }); err == nil || exists(dir+"/copy") {
		t.Errorf("it was copied: %v", err)
	}
}

func TestBuild_aSparseOutputIsAsLargeAsItsFilesSay(t *testing.T) {
	t.Parallel()
	b := builder(t, func(c *Config) { c.Limits.Disk = 8 << 20 })
	for name, command := range map[string]string{
		"sparse files": "mkdir out && for i in 1 2 3; do truncate -s 4M out/$i; done",
		"links to one": "mkdir out && truncate -s 4M out/1 && ln out/1 out/2 && ln out/1 out/3",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := build(t, b, files(t, "x", "y"), shell(command))
			wantFault(t, err, CodeLimit, "wrote more than a build may")
		})
	}
	mustBuild(t, b, files(t, "x", "y"), shell("mkdir out && truncate -s 4M out/1 out/2"))
	if left, err := filepath.Glob(filepath.Join(b.artifacts.dir, ".tmp-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
