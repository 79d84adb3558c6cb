package pipeline

import (
	"errors"
	"os"
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
	if err := copyFile(dir+"/copy", root, "pipe"); err == nil || exists(dir+"/copy") {
		t.Errorf("it was copied: %v", err)
	}
}
