package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// pushed returns the tree of what fill put into a working copy.
func pushed(t *testing.T, fill func(c *clone)) (Tree, *clone, *remote) {
	t.Helper()
	r := start(t, t.TempDir(), callbacks{})
	c := newClone(t)
	fill(c)
	head := c.commit("titrate.yaml", "titrate: 1\n", "adds search\n\nand more")
	c.git("push", r.at("cofe"), "main")
	tree, err := r.Tree(t.Context(), "cofe", head)
	if err != nil {
		t.Fatal(err)
	}
	return tree, c, r
}

func symlink(t *testing.T, c *clone, target, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(c.dir, name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(c.dir, name)); err != nil {
		t.Fatal(err)
	}
}

func TestTree_readsFilesAndTheCommit(t *testing.T) {
	t.Parallel()
	tree, c, r := pushed(t, func(c *clone) {
		c.commit("sub/real.txt", "content\nof two lines\n", "first")
		symlink(t, c, "sub/real.txt", "inside")
		symlink(t, c, "/etc/passwd", "outside")
	})
	for _, name := range []string{"sub/real.txt", "inside", "./sub/../sub/real.txt"} {
		if text, err := tree.File(t.Context(), name); err != nil || string(text) != "content\nof two lines\n" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	for _, name := range []string{"missing", "sub", "outside", "a\nb", "../x", ""} {
		if text, err := tree.File(t.Context(), name); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %q, %v", name, text, err)
		}
	}
	info, err := tree.Info(t.Context())
	if err != nil || info.Subject != "adds search" || info.Author != "Ann" || info.At.IsZero() || info.Commit != tree.Commit() {
		t.Errorf("info %+v, %v", info, err)
	}
	since, err := tree.Since(t.Context(), c.git("rev-parse", "HEAD~1"), 10)
	if err != nil || len(since) != 1 {
		t.Errorf("since the first: %v, %v", since, err)
	}
	if all, err := tree.Since(t.Context(), "", 10); err != nil || len(all) != 2 {
		t.Errorf("all: %v, %v", all, err)
	}
	for _, commit := range []string{strings.Repeat("a", 40), "main", "--all"} {
		if _, err := r.Tree(t.Context(), "cofe", commit); !errors.Is(err, ErrUnknown) {
			t.Errorf("commit %s: %v", commit, err)
		}
	}
	if _, err := r.Tree(t.Context(), "other", tree.Commit()); !errors.Is(err, ErrUnknown) {
		t.Errorf("app: %v", err)
	}
}

// Not parallel: it measures the memory of the whole process.
func TestTree_doesNotReadAHugeFileToRefuseIt(t *testing.T) {
	tree, _, _ := pushed(t, func(c *clone) { c.commit("huge", strings.Repeat("\x00", 64<<20), "compresses to nothing") })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := tree.File(t.Context(), "huge")
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), "67108864 bytes are more than") {
		t.Errorf("got %v", err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
		t.Errorf("%d MiB were taken", n>>20)
	}
}

func TestR1_treeHashFollowsTheContentOfItsFoldersOnly(t *testing.T) {
	t.Parallel()
	first, c, r := pushed(t, func(c *clone) {
		c.commit("a/f", "1", "a")
		c.commit("b/f", "1", "b")
	})
	hash := func(tr Tree, dirs ...string) string {
		h, err := tr.Hash(t.Context(), dirs...)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	head := c.commit("b/f", "2", "changes b")
	c.git("push", r.at("cofe"), "main")
	second, err := r.Tree(t.Context(), "cofe", head)
	if err != nil {
		t.Fatal(err)
	}
	if hash(first, "a") != hash(second, "a") || hash(first, "a", "none") != hash(second, "a", "none") {
		t.Error("the hash of a changed")
	}
	if hash(first, "b") == hash(second, "b") || hash(first, ".") == hash(second, ".") || hash(first, "a") == hash(first, "b") {
		t.Error("the hash of b did not change")
	}
}

func TestExport_writesWhatWasCommitted(t *testing.T) {
	t.Parallel()
	tree, _, _ := pushed(t, func(c *clone) {
		c.commit("sub/deep/file", "content", "first")
		c.commit("run.sh", "#!/bin/sh\n", "script")
		os.Chmod(filepath.Join(c.dir, "run.sh"), 0o755)
		symlink(t, c, "sub/deep", "short")
		symlink(t, c, "not-there", "dangling")
		c.commit(strings.Repeat("long/", 40)+"name", "deep", "long")
	})
	dir := t.TempDir()
	if err := tree.Export(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "short/file")); err != nil || string(text) != "content" {
		t.Errorf("%q, %v", text, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "run.sh")); err != nil || info.Mode().Perm()&0o111 == 0 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".git")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf(".git: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, strings.Repeat("long/", 40)+"name")); err != nil {
		t.Error(err)
	}
}

// What an archive would leave out or rewrite is built as it is checked out.
func TestExport_isACheckoutAndNotAnArchive(t *testing.T) {
	t.Parallel()
	tree, _, _ := pushed(t, func(c *clone) {
		c.commit(".gitattributes", "testdata export-ignore\nversion export-subst\n", "attributes")
		c.commit("testdata/file", "needed", "testdata")
		c.commit("version", "$Format:%H$", "version")
	})
	dir := t.TempDir()
	if err := tree.Export(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"testdata/file": "needed", "version": "$Format:%H$"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestSubmodules_areNamedAndLeftEmpty(t *testing.T) {
	t.Parallel()
	tree, _, _ := pushed(t, func(c *clone) {
		c.commit(".gitmodules", "[submodule \"lib\"]\n\tpath = third/lib\n\turl = ../lib.git\n", "modules")
		if err := os.MkdirAll(filepath.Join(c.dir, "third", "lib"), 0o755); err != nil { // as a clone without submodules has it
			t.Fatal(err)
		}
		c.git("update-index", "--add", "--cacheinfo", "160000,"+c.git("rev-parse", "HEAD")+",third/lib")
	})
	got, err := tree.Submodules(t.Context())
	if err != nil || !slices.Equal(got, []string{"third/lib"}) {
		t.Errorf("%v, %v", got, err)
	}
	if err := tree.Export(t.Context(), t.TempDir()); err != nil {
		t.Error(err)
	}
	plain, _, _ := pushed(t, func(c *clone) { c.commit("file", "x", "one") })
	if got, err := plain.Submodules(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestExport_refusesLinksThatLeadOutAndWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	for name, fill := range map[string]func(c *clone){
		"absolute": func(c *clone) { symlink(t, c, "/etc/passwd", "l") },
		"upwards":  func(c *clone) { symlink(t, c, "../../etc", "sub/l") },
		"a chain of links": func(c *clone) {
			symlink(t, c, "../..", "a/b/up")
			symlink(t, c, "a/b/up/..", "out")
		},
		"too large": func(c *clone) { c.commit("big", strings.Repeat("x", 2<<20), "big") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree, _, _ := pushed(t, fill)
			if err := tree.Export(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), codeTree) {
				t.Error(err)
			}
		})
	}
}
