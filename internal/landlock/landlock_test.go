package landlock

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

// restricted runs f on a thread in a Landlock domain; the thread ends with it.
func restricted(t *testing.T, rules []Rule, f func()) {
	t.Helper()
	if ABI() == 0 {
		t.Skip("this kernel has no Landlock")
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is thrown away
		err := Restrict(rules)
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestExcept_hidesAFolderAndNothingElse(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	hidden, beside := filepath.Join(base, "data"), filepath.Join(base, "beside")
	own := filepath.Join(hidden, "node", "own")
	for _, d := range []string{own, beside} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	secret := filepath.Join(hidden, "secret")
	for _, f := range []string{secret, filepath.Join(beside, "file"), filepath.Join(own, "file")} {
		if err := os.WriteFile(f, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(hidden, filepath.Join(base, "link")); err != nil {
		t.Fatal(err)
	}
	rules, err := Except(hidden)
	if err != nil {
		t.Fatal(err)
	}
	rules = append(rules, Rule{own, Write}, Rule{filepath.Join(base, "missing"), Read})
	restricted(t, rules, func() {
		for _, path := range []string{secret, filepath.Join(base, "link", "secret")} {
			if _, err := os.ReadFile(path); !os.IsPermission(err) {
				t.Errorf("read %s: %v, want permission denied", path, err)
			}
		}
		if _, err := os.ReadDir(hidden); !os.IsPermission(err) {
			t.Errorf("list the hidden folder: %v, want permission denied", err)
		}
		for _, path := range []string{filepath.Join(beside, "file"), filepath.Join(own, "file"), "/etc/passwd"} {
			if _, err := os.ReadFile(path); err != nil {
				t.Errorf("read %s: %v", path, err)
			}
		}
		for _, path := range []string{filepath.Join(own, "new"), filepath.Join(beside, "new"), "/dev/null"} {
			if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
				t.Errorf("write %s: %v", path, err)
			}
		}
	})
}

func TestExcept_keepsAFileBesideAFolder(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	data, program, tool := filepath.Join(base, "data"), filepath.Join(base, "bin", "titrate"), filepath.Join(base, "bin", "tool")
	for _, f := range []string{filepath.Join(data, "key"), program, tool} {
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte("x"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	rules, err := Except(data, program, filepath.Join(data, "deeper", "missing"), filepath.Join(data, "key"))
	if err != nil {
		t.Fatal(err)
	}
	restricted(t, append(rules, Rule{program, Read}), func() {
		if _, err := os.ReadFile(program); err != nil {
			t.Errorf("read the program: %v", err)
		}
		if err := os.WriteFile(tool, []byte("y"), 0o755); err != nil {
			t.Errorf("write beside it: %v", err)
		}
		if _, err := os.ReadFile(filepath.Join(data, "key")); !os.IsPermission(err) {
			t.Errorf("read the hidden: %v, want permission denied", err)
		}
		for what, err := range map[string]error{
			"write": os.WriteFile(program, []byte("z"), 0o755), "remove": os.Remove(program), "replace": os.Rename(tool, program),
		} {
			if err == nil {
				t.Errorf("%s the program: done, want permission denied", what)
			}
		}
	})
}

func TestRestrict_readOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	restricted(t, []Rule{{dir, Read}}, func() {
		if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o644); !os.IsPermission(err) {
			t.Errorf("write: %v, want permission denied", err)
		}
		if _, err := os.ReadDir(dir); err != nil {
			t.Errorf("list: %v", err)
		}
	})
}

func TestKnown_growsWithTheKernel(t *testing.T) {
	t.Parallel()
	for abi := 1; abi < 12; abi++ {
		if more, less := known(abi+1), known(abi); more&less != less {
			t.Errorf("ABI %d knows %b, ABI %d only %b", abi, less, abi+1, more)
		}
	}
	if sizes := []uintptr{attrSize(1), attrSize(4), attrSize(7)}; !slices.Equal(sizes, []uintptr{8, 16, 24}) {
		t.Errorf("sizes of the attributes: %v", sizes)
	}
}
