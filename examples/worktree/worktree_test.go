package worktree_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"titrate/examples/worktree"
)

func TestWrite_leavesAloneWhatIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := map[string]string{"a/b.txt": "one", "c.txt": "two"}
	if err := worktree.Write(dir, files); err != nil {
		t.Fatal(err)
	}
	past := time.Unix(1, 0)
	for name := range files {
		if err := os.Chtimes(filepath.Join(dir, name), past, past); err != nil {
			t.Fatal(err)
		}
	}
	files["c.txt"] = "three"
	if err := worktree.Write(dir, files); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		got, err := os.ReadFile(filepath.Join(dir, name))
		info, serr := os.Stat(filepath.Join(dir, name))
		if err != nil || serr != nil || string(got) != content || info.ModTime().Equal(past) != (name == "a/b.txt") {
			t.Errorf("%s: %q, written anew: %t, %v, %v", name, got, !info.ModTime().Equal(past), err, serr)
		}
	}
}
