package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// syntax reports what the YAML library could not read.
func (r *reader) syntax(err error) {
	p := Problem{Code: codeSyntax, Line: 1, Column: 1, Length: 1, Message: "this is not YAML: " + err.Error()}
	var load *yaml.LoadError
	if errors.As(err, &load) {
		p.Message = "this is not YAML: " + load.Message
		p.Line, p.Column = load.Mark.Line, load.Mark.Column
		if load.ContextMsg != "" && load.ContextMark.Line > 0 {
			p.Message += fmt.Sprintf(" (%s that begins in line %d)", load.ContextMsg, load.ContextMark.Line)
			if r.atEnd(p.Line, p.Column) { // where nothing is shown
				p.Line, p.Column = load.ContextMark.Line, load.ContextMark.Column
				p.Hint = "what begins here has no end"
			}
		}
		p.Hint = cmp.Or(syntaxHints[load.Message], p.Hint, r.syntaxHint(load))
	}
	// The library marks what follows a tab, or the tab; say what the trouble is.
	for _, n := range []int{p.Line, p.Line - 1} {
		if indent := r.indent(n); strings.Contains(indent, "\t") {
			p.Code, p.Line, p.Column = codeTab, n, strings.Index(indent, "\t")+1
			p.Message, p.Hint = "a tab indents this line", "YAML indents with spaces only"
			break
		}
	}
	r.put(p)
}

// indent returns the white space that line n begins with.
func (r *reader) indent(n int) string {
	line := r.line(n)
	return line[:len(line)-len(strings.TrimLeft(line, " \t"))]
}

// atEnd reports whether nothing stands in the line from column on, nor in any
// line after it.
func (r *reader) atEnd(line, column int) bool {
	if text := []rune(r.line(line)); column <= len(text) && strings.TrimSpace(string(text[max(column-1, 0):])) != "" {
		return false
	}
	return !slices.ContainsFunc(r.lines[min(line, len(r.lines)):], func(l string) bool { return strings.TrimSpace(l) != "" })
}

const (
	inQuotes    = "text with { [ @ ` % * & ! or \": \" in it stands in quotes"
	backslashes = "in double quotes a backslash is written twice, in single quotes once"
)

// syntaxHints say in plain words what the library's messages mostly mean. It has
// no codes for them; one that is not here only has no hint of its own.
var syntaxHints = map[string]string{
	"did not find expected key":                              "is this line indented as those above it?",
	"did not find expected '-' indicator":                    "is this line indented as those above it?",
	"could not find expected ':'":                            "after a key stand a colon and a space: port: 8080",
	"block sequence entries are not allowed in this context": "a list stands in the lines below its key, or in [ ]",
	"found unknown escape character":                         backslashes,
	"did not find expected hexadecimal number":               backslashes,
}

// syntaxHint says what the person may have meant, from what stands where the
// library stopped.
func (r *reader) syntaxHint(load *yaml.LoadError) string {
	text := []rune(r.line(load.Mark.Line))
	before := string(text[:min(max(load.Mark.Column-1, 0), len(text))])
	second := strings.Contains(before, ": ") // what stopped it is the second colon of its line
	switch open := load.ContextMark.Line; {
	case load.Message == "mapping values are not allowed in this context" && !second:
		return "is the line above without a colon, or this one indented too far?"
	case strings.HasPrefix(load.Message, "did not find expected ','") && open < load.Mark.Line:
		return fmt.Sprintf("is the bracket that opens in line %d closed?", open)
	case second || strings.ContainsAny(string(text), "{[@`%*&!|>"):
		return inQuotes
	}
	return ""
}
