package secrets

import (
	"bytes"
	"strings"
	"testing"
)

func TestRedactor_replacesValues(t *testing.T) {
	t.Parallel()
	pem := "-----BEGIN KEY-----\nc2VjcmV0\n-----END KEY-----\n"
	r := NewRedactor("hunter22", "hunter22-longer", "on", pem)
	for in, want := range map[string]string{
		"":                            "",
		"nothing on it":               "nothing on it",
		"pw=hunter22!":                "pw=[secret]!",
		"hunter22hunter22":            "[secret][secret]",
		"pw=hunter22-longer.":         "pw=[secret].",
		"hunter22-long":               "[secret]-long",
		"hunter2":                     "hunter2",
		"key " + pem + "end":          "key [secret]end",
		"2026 c2VjcmV0 on a line":     "2026 [secret] on a line",
		"hhunter22":                   "h[secret]",
		strings.Repeat("hunter2 ", 3): "hunter2 hunter2 hunter2 ",
	} {
		if got := r.String(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestRedactor_seesValuesAcrossWrites(t *testing.T) {
	t.Parallel()
	r := NewRedactor("hunter22", "hunter22-longer")
	text := "a hunter22 b hunter22-longer c hunter22-lo"
	for size := 1; size < len(text); size++ {
		var out bytes.Buffer
		w := r.Writer(&out)
		for i := 0; i < len(text); i += size {
			if _, err := w.Write([]byte(text[i:min(i+size, len(text))])); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got, want := out.String(), "a [secret] b [secret] c [secret]-lo"; got != want {
			t.Fatalf("in pieces of %d: %q", size, got)
		}
	}
}

func TestRedactor_holdsBackOnlyWhatMayBeAValue(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := NewRedactor("hunter22").Writer(&out)
	w.Write([]byte("listening on hunt"))
	if out.String() != "listening on " {
		t.Fatalf("%q was passed on", out.String())
	}
	w.Write([]byte("er21\n"))
	if out.String() != "listening on hunter21\n" {
		t.Fatalf("%q was passed on", out.String())
	}
}

func FuzzRedactor(f *testing.F) {
	f.Add("a hunter22 b", "hunter22", "er22 b", 3)
	f.Add("aaaaaaaaab", "aaaa", "aaaaab", 2)
	f.Fuzz(func(t *testing.T, text, a, b string, size int) {
		if size <= 0 {
			size = 1
		}
		r := NewRedactor(a, b)
		var out bytes.Buffer
		w := r.Writer(&out)
		for i := 0; i < len(text); i += size {
			w.Write([]byte(text[i:min(i+size, len(text))]))
			if size > len(text) {
				break
			}
		}
		w.Close()
		if out.String() != r.String(text) {
			t.Fatalf("in pieces %q, at once %q", out.String(), r.String(text))
		}
		for _, v := range []string{a, b} {
			// A value that overlaps the mark itself cannot be told from it.
			if len(v) >= shortest && !strings.ContainsAny(v, redacted) && strings.Contains(out.String(), v) {
				t.Fatalf("%q is still in %q", v, out.String())
			}
		}
	})
}
