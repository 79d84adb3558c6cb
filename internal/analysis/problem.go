package analysis

import (
	"errors"
	"strconv"
)

// ErrNotYet is wrapped by a [ParseError] about something that belongs to the
// language of alarms but is not judged by this version.
var ErrNotYet = errors.New("not available yet")

// ParseError says what is wrong with an alarm's text, and where, so that a caret
// can be put under it.
type ParseError struct {
	// Field is the key of the long form whose value is wrong ("above", "for"), or
	// empty for the short form. A missing key is named with Length 0.
	Field   string
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

// in says in which field err arose.
func in(field string, err error) error {
	var p *ParseError
	if errors.As(err, &p) {
		q := *p
		q.Field = field
		return &q
	}
	return err
}

func quote(s string) string { return strconv.Quote(s) }

// nearest returns the word closest to text, or "" if none is close enough to be
// meant.
func nearest(text string, words []string) string {
	best, at := "", len(text)/2+1
	for _, w := range words {
		if d := distance(text, w); d < at {
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
