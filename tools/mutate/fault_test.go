package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestFaultsOf_plantsInCasesToo(t *testing.T) {
	t.Parallel()
	const source = `package p

func f(a, b int, c bool) int {
	switch {
	case a < b && !c:
		a += 1
	}
	a++
	return -a
}
`
	dir := t.TempDir()
	for name, text := range map[string]string{"p.go": source, "p_test.go": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	faults, err := faultsOf(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range faults {
		got = append(got, f.change)
		if again := (fault{offset: f.offset, old: f.new, new: f.old}); string(again.apply(f.apply([]byte(source)))) != source {
			t.Errorf("%s cannot be undone", f.change)
		}
	}
	want := []string{"&& to ||", "< to <=", "< to >=", "! to", "+= to -=", "++ to --", "- to"}
	if !slices.Equal(got, want) {
		t.Errorf("planted %q, want %q", got, want)
	}
}
