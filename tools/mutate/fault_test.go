package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const sound = `package p

import "errors"

const limit = 2 - 1 // constants are left alone

var errNone = errors.New("none" + "at all")

// f has a fault of each kind, also where a case decides.
func f(a, b int, c bool, s string, err error) (int, string) {
	switch {
	case a < b && !c, // a comment between
		err != nil:
		a += len(s) - limit
	}
	for i := 0; i <= b; i++ {
		a = -a * b
	}
	s += "x" + s
	return a, s
}
`

// module writes a module with a package p and its tests.
func module(t *testing.T, tests string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module m\n\ngo 1.26\n", "p/p.go": sound, "p/p_test.go": tests} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPlant_findsEveryPlace(t *testing.T) {
	t.Parallel()
	dir := module(t, "package p\n")
	faults, files, err := plant(t.Context(), dir, "p", "")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, f := range faults {
		got = append(got, strings.TrimPrefix(f.place, "p/p.go:")+" "+f.change)
		if f.id != i+1 {
			t.Errorf("fault %d has the number %d", i+1, f.id)
		}
	}
	want := []string{
		"12:13 && to ||", "12:9 < to <=", "12:9 < to >=", "12:16 ! to nothing", "13:7 != to ==", "14:5 += to -=", "14:15 - to +",
		"16:16 <= to <", "16:16 <= to >", "16:23 ++ to --", "17:10 * to /", "17:7 - to nothing",
	}
	if !slices.Equal(got, want) {
		t.Errorf("planted\n%q\nwant\n%q", got, want)
	}
	if len(files) != 2 {
		t.Errorf("%d files are rewritten", len(files))
	}
}

func TestMutate_tellsWhatTheTestsFind(t *testing.T) {
	t.Parallel()
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("it builds test programs: set TITRATE_TEST_SLOW=1, as make test does")
	}
	dir := module(t, `package p

import "testing"

func TestLess(t *testing.T) {
	if a, _ := f(1, 2, false, "abc", nil); a != 8+4 {
		t.Fatal(a)
	}
}
`)
	var out strings.Builder
	share, err := mutate(t.Context(), &out, dir, "p", options{workers: 2})
	if err == nil || !strings.Contains(err.Error(), "do not pass with the faults asleep") {
		t.Fatalf("%v %v, want an error about tests that fail as they are", share, err)
	}
	dir = module(t, `package p

import "testing"

func TestF(t *testing.T) {
	if a, _ := f(1, 2, false, "abc", nil); a != -24 {
		t.Fatal(a)
	}
}
`)
	share, err = mutate(t.Context(), &out, dir, "p", options{workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "p/p.go:12:9: not found: < to <=\n") || !strings.Contains(out.String(), "of 12 planted faults found") {
		t.Errorf("it says\n%s", out.String())
	}
	if share <= 50 || share >= 100 {
		t.Errorf("share %v", share)
	}
	if _, err := os.Stat(filepath.Join(dir, "p", helperFile)); !os.IsNotExist(err) {
		t.Error("the helpers are left behind")
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "p/p.go")); string(text) != sound {
		t.Error("the package is not as it was")
	}
}
