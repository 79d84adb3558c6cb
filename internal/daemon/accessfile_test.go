package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAccessFile_givesItsNameOnWhenItIsFull(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	a := &accessFile{path: path, most: 20, keep: 2}
	for _, line := range []string{"one one one\n", "two two two\n", "three three\n", "four four 4\n", "five five 5\n", "six six six\n", "seven\n"} {
		if _, err := a.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{path: "seven\n", path + ".1": "five five 5\nsix six six\n", path + ".2": "three three\nfour four 4\n"} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s holds %q (%v), not %q", filepath.Base(name), got, err, want)
		}
	}
	if _, err := os.Stat(path + ".3"); err == nil {
		t.Error("more are kept than may be")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v %v", info.Mode(), err)
	}
}

func TestAccessFile_goesOnInWhatHasTheName(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	a := &accessFile{path: path, most: 1 << 20, keep: 2}
	write := func(line string) {
		t.Helper()
		if _, err := a.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	write("one\n")
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	write("still there\n")
	a.looked = a.looked.Add(-accessLook)
	write("two\n")
	if got, err := os.ReadFile(path); err != nil || string(got) != "two\n" {
		t.Errorf("%q %v", got, err)
	}
}

func TestAccessFile_triesAnewAfterAFault(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs")
	a := &accessFile{path: filepath.Join(dir, "access.log"), most: 1 << 20, keep: 2}
	if _, err := a.Write([]byte("lost\n")); err == nil {
		t.Fatal("it was written to nowhere")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write([]byte("kept\n")); err != nil {
		t.Error(err)
	}
}

func TestParseAccessLog(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]float64{"": 0, "off": 0, "all": 1, "100%": 1, "5%": 0.05, "0.1%": 0.001} {
		if got, err := ParseAccessLog(s); err != nil || got != want {
			t.Errorf("%q is %v (%v), not %v", s, got, err, want)
		}
	}
	for _, s := range []string{"0%", "-1%", "101%", "0.5", "on", "NaN%", "%"} {
		if _, err := ParseAccessLog(s); err == nil || !strings.Contains(err.Error(), "off, all") {
			t.Errorf("%q is taken: %v", s, err)
		}
	}
}
