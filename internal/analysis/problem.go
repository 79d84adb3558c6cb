package analysis

import (
	"errors"
	"strconv"
	"strings"
)

// ErrNotYet is wrapped by a [ParseError] about something that belongs to the
// language of alarms but is not judged by this version.
var ErrNotYet = errors.New("not available yet")

// ParseErrors are all that is wrong with one alarm, at least one.
type ParseErrors []*ParseError

// Error returns them in one line.
func (es ParseErrors) Error() string {
	texts := make([]string, len(es))
	for i, e := range es {
		texts[i] = e.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns them one by one, so that errors.As finds the first.
func (es ParseErrors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

// add notes that err, unless it is nil, is wrong with a field of the long form.
func (es *ParseErrors) add(field string, err error) {
	var p *ParseError
	if errors.As(err, &p) {
		q := *p
		q.Field = field
		*es = append(*es, &q)
	}
}

// ParseError says what is wrong with an alarm's text, and where, so that a caret
// can be put under it.
type ParseError struct {
	// Field is the key of the long form whose value is wrong ("above", "for"), or
	// empty for the short form. A missing key is named with Length 0.
	Field   string
	Key     bool   // the key itself is wrong, or its < in the short form, not the value
	Offset  int    // in bytes, from the start of the short text or of the field's value
	Length  int    // in bytes; 0: something is missing at Offset
	Problem string // what is wrong: `unknown metric "p9"`
	Hint    string // what to type instead; may be empty
	Kind    error  // ErrNotYet or nil
}

// Error returns problem and hint in one line.
func (e *ParseError) Error() string {
	s := e.Problem
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Unwrap returns the kind, so that errors.Is(err, ErrNotYet) tells.
func (e *ParseError) Unwrap() error { return e.Kind }

// problem is a ParseError about the whole of text.
func problem(text, what, hint string) *ParseError {
	return &ParseError{Length: len(text), Problem: what, Hint: hint}
}

func notYet(text, what, hint string) *ParseError {
	e := problem(text, what, hint)
	e.Kind = ErrNotYet
	return e
}

func quote(s string) string { return strconv.Quote(s) }

// nearest returns the word closest to text, in whatever case, or "" if none is
// close enough to be meant.
func nearest(text string, words []string) string {
	text = strings.ToLower(text)
	best, at := "", len(text)/2+1
	for _, w := range words {
		if d := distance(text, strings.ToLower(w)); d < at {
			best, at = w, d
		}
	}
	return best
}

// distance is Levenshtein's: insertions, deletions and replacements.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
