package secrets

import (
	"cmp"
	"io"
	"slices"
	"strings"
)

// shortest is the length in bytes from which a value is redacted: shorter ones
// ("1", "on") would riddle every log with holes and hide nothing.
const shortest = 4

// Redactor replaces the values of secrets by "[secret]". A value of several
// lines is also looked for line by line, as logs show it.
type Redactor struct {
	byFirst [256][]string // longest first
}

const redacted = "[secret]"

// NewRedactor returns a redactor of values. With none worth redacting it changes nothing.
func NewRedactor(values ...string) *Redactor {
	r := &Redactor{}
	seen := map[string]bool{}
	add := func(v string) {
		if len(v) >= shortest && !seen[v] {
			seen[v] = true
			r.byFirst[v[0]] = append(r.byFirst[v[0]], v)
		}
	}
	for _, v := range values {
		add(v)
		for line := range strings.Lines(v) {
			add(strings.TrimRight(line, "\r\n"))
		}
	}
	for _, vs := range r.byFirst {
		slices.SortFunc(vs, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	}
	return r
}

// String returns s without the values.
func (r *Redactor) String(s string) string {
	out, rest := r.scan(nil, []byte(s), true)
	return string(append(out, rest...))
}

// Writer returns a writer that passes on to w what it is given, without the
// values, even where one is split between two writes. Only what may be the
// beginning of a value is held back, until the next write or Close. Close does
// not close w.
func (r *Redactor) Writer(w io.Writer) io.WriteCloser { return &redactingWriter{r: r, w: w} }

type redactingWriter struct {
	r    *Redactor
	w    io.Writer
	held []byte
}

func (w *redactingWriter) Write(p []byte) (int, error) {
	if err := w.pass(p, false); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *redactingWriter) Close() error { return w.pass(nil, true) }

func (w *redactingWriter) pass(p []byte, last bool) error {
	out, rest := w.r.scan(nil, append(w.held, p...), last)
	w.held = append([]byte(nil), rest...)
	if len(out) == 0 {
		return nil
	}
	_, err := w.w.Write(out)
	return err
}

// scan appends in to out with values replaced, and returns what it cannot decide
// on before more is known. With last, nothing more comes.
func (r *Redactor) scan(out, in []byte, last bool) (done, rest []byte) {
	for i := 0; i < len(in); {
		match, undecided := r.at(in[i:])
		switch {
		case undecided && !last:
			return out, in[i:]
		case match > 0:
			out = append(out, redacted...)
			i += match
		default:
			out = append(out, in[i])
			i++
		}
	}
	return out, nil
}

// at returns the length of the longest value that in begins with, and whether a
// longer one may yet come.
func (r *Redactor) at(in []byte) (match int, undecided bool) {
	for _, v := range r.byFirst[in[0]] {
		if len(v) <= len(in) {
			if string(in[:len(v)]) == v {
				return len(v), undecided
			}
		} else if v[:len(in)] == string(in) {
			undecided = true
		}
	}
	return 0, undecided
}
