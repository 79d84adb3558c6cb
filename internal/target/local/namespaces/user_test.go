package namespaces

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestLookUser(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"passwd": "root:x:0:0:root:/root:/bin/sh\nbroken line\nnode:x:1000:1001::/home/node:/bin/sh\n",
		"group":  "root:x:0:\nnode:x:1001:\ndisk:x:6:root,node\nvideo:x:44:node\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, "etc", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for user, want := range map[string]string{
		"":           "{0 0 [6] /root} <nil>",
		"root":       "{0 0 [6] /root} <nil>",
		"node":       "{1000 1001 [6 44] /home/node} <nil>",
		"1000":       "{1000 1001 [6 44] /home/node} <nil>",
		"node:disk":  "{1000 6 [] /home/node} <nil>",
		"1000:77":    "{1000 77 [] /home/node} <nil>",
		"4711":       "{4711 0 [] } <nil>",
		"ana":        "{0 0 [] } the image is to be run as ana, and its /etc/passwd has no such user",
		"node:wheel": "{0 0 [] } the image is to be run in group wheel, and its /etc/group has no such group",
		"-1":         "{0 0 [] } the image is to be run as -1, and its /etc/passwd has no such user",
	} {
		got, err := lookUser(dir, user)
		if text := fmt.Sprintf("%v %v", got, err); text != want {
			t.Errorf("%q: %s, want %s", user, text, want)
		}
	}
}

// TestLookUser_readsNothingOfThisMachine has an /etc/passwd that leads out of the image.
func TestLookUser_readsNothingOfThisMachine(t *testing.T) {
	t.Parallel()
	outside, dir := filepath.Join(t.TempDir(), "passwd"), t.TempDir()
	if err := os.WriteFile(outside, []byte("ana:x:7:7::/:/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "etc", "passwd")); err != nil {
		t.Fatal(err)
	}
	if got, err := lookUser(dir, "ana"); err == nil {
		t.Errorf("%+v", got)
	}
}

func TestRemove_whatNobodyMayLookInto(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "layer")
	if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", "b", "c"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "a"), 0); err != nil {
		t.Fatal(err)
	}
	if err := Remove(dir, nil); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		t.Error(err)
	}
}

func TestAround_givesEachUserTheSameNumberWhoeverWeAre(t *testing.T) {
	t.Parallel()
	given := extent{without: 100000, count: 65536}
	for who, want := range map[uint32]string{
		0:      "[{0 500 1} {1 100001 65535} {65536 100000 1}]",
		999:    "[{999 500 1} {0 100000 999} {1000 101000 64536} {65536 100999 1}]",
		65535:  "[{65535 500 1} {0 100000 65535} {65536 165535 1}]",
		100000: "[{100000 500 1} {0 100000 65536}]",
	} {
		if got := fmt.Sprint(around(who, 500, given)); got != want {
			t.Errorf("%d: %s, want %s", who, got, want)
		}
	}
}
