package manifest

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
)

// Severity says whether a problem refuses the manifest.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Problem is one thing that is wrong, or doubtful, in a manifest. Its position
// is always inside the file; lines and columns count from 1, columns in characters.
type Problem struct {
	Code     string   `json:"code"` // `titrate explain CODE` has its page
	Severity Severity `json:"severity"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Column   int      `json:"column"`
	Length   int      `json:"length"`         // characters to underline, at least 1
	Path     string   `json:"path,omitempty"` // "services.checkout.alarm"
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"` // stands beside the caret: did you mean "alarms"?
	Help     string   `json:"help"`           // what to type next
	Source   string   `json:"source"`         // the line it is about
}

// String renders the problem for a terminal: what, where, the line with a caret,
// and what to type next.
func (p Problem) String() string {
	var b strings.Builder
	number := fmt.Sprint(p.Line)
	pad := strings.Repeat(" ", len(number))
	line, before := excerpt(p.Source, p.Column)
	text := []rune(line)
	marked := text[before:min(before+p.Length, len(text))]
	fmt.Fprintf(&b, "%s[%s]: %s\n", p.Severity, p.Code, printable(p.Message))
	fmt.Fprintf(&b, "%s--> %s:%d:%d\n", pad, printable(p.File), p.Line, p.Column)
	fmt.Fprintf(&b, "%s |\n", pad)
	fmt.Fprintf(&b, "%s | %s\n", number, strings.TrimRight(line, " "))
	caret := strings.Repeat(" ", cells(text[:before])) + strings.Repeat("^", max(cells(marked), 1))
	fmt.Fprintf(&b, "%s | %s\n", pad, strings.TrimRight(caret+" "+printable(p.Hint), " "))
	fmt.Fprintf(&b, "%shelp: %s\n", pad, printable(p.Help))
	return b.String()
}

// cells is how many columns of a terminal a text takes: two for a wide character
// such as 你 or 🙂, none for an accent that stands on the letter before it.
func cells(text []rune) int { return uniseg.StringWidth(string(text)) }

// excerpt returns the part of a line that is shown around column, and how many
// characters of it stand before the column.
func excerpt(source string, column int) (line string, before int) {
	const width, lead = 120, 50
	text := []rune(printable(source))
	before = min(max(column-1, 0), len(text))
	if len(text) <= width {
		return string(text), before
	}
	start := max(0, before-lead)
	end := min(len(text), start+width)
	line = string(text[start:end])
	before -= start
	if start > 0 {
		line, before = "…"+line, before+1
	}
	if end < len(text) {
		line += "…"
	}
	return line, before
}

// printable replaces what could move a terminal's cursor or turn its text
// around, character by character, so that columns stay true.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\t':
			return ' '
		case !unicode.IsGraphic(c) || unicode.Is(unicode.Cf, c):
			return '·'
		}
		return c
	}, s)
}

// Problems are what [Parse] found, in the order of the file.
type Problems []Problem

// String renders every problem, with an empty line between two.
func (ps Problems) String() string {
	parts := make([]string, len(ps))
	for i, p := range ps {
		parts[i] = p.String()
	}
	return strings.Join(parts, "\n")
}

// Errors returns those that refuse the manifest.
func (ps Problems) Errors() Problems { return ps.of(SeverityError) }

// Warnings returns those that do not.
func (ps Problems) Warnings() Problems { return ps.of(SeverityWarning) }

func (ps Problems) of(s Severity) Problems {
	var out Problems
	for _, p := range ps {
		if p.Severity == s {
			out = append(out, p)
		}
	}
	return out
}

// Err returns nil if nothing refuses the manifest, otherwise an [InvalidError].
func (ps Problems) Err() error {
	if errs := ps.Errors(); len(errs) > 0 {
		return &InvalidError{Problems: errs}
	}
	return nil
}

// Annotations renders the problems as workflow commands of GitHub Actions, one a
// line, which show them beside the file's lines in a pull request.
func (ps Problems) Annotations() string {
	var b strings.Builder
	for _, p := range ps {
		message := p.Message
		if p.Hint != "" {
			message += " (" + p.Hint + ")"
		}
		fmt.Fprintf(&b, "::%s file=%s,line=%d,col=%d,endColumn=%d,title=%s::%s\n",
			p.Severity, escapeProperty(p.File), p.Line, p.Column, p.Column+p.Length, p.Code, escapeData(message))
	}
	return b.String()
}

// Both escapes as the runner undoes them; see actions/toolkit, core/command.
func escapeData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func escapeProperty(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(escapeData(s))
}

// InvalidError says that a manifest was refused, and why.
type InvalidError struct {
	Problems Problems
}

// Error renders every problem.
func (e *InvalidError) Error() string { return e.Problems.String() }
