package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// reader reads the nodes of one file and collects what is wrong with them.
type reader struct {
	file                string
	lines               []string // without their ends
	keys                []Key
	services, functions bool // the file has a section of that name
	gaps                bool // an alias or a merge key stands for something that is not read
	problems            Problems
}

func newReader(src []byte, file string) *reader {
	return &reader{file: file, lines: linesOf(string(src)), keys: Keys()}
}

// linesOf splits a text where YAML and editors do: after \n, \r\n or \r.
func linesOf(text string) []string {
	return strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(text, "\ufeff")), "\n")
}

// line returns line n, counted from 1, or "" outside the file.
func (r *reader) line(n int) string {
	if n < 1 || n > len(r.lines) {
		return ""
	}
	return r.lines[n-1]
}

// maxProblems bounds what is told of one file.
const maxProblems = 100

// full reports whether no more problems are told, and says so once, at the end.
func (r *reader) full() bool {
	switch {
	case len(r.problems) < maxProblems:
		return false
	case len(r.problems) == maxProblems:
		end := Problem{
			Code: codeMany, Severity: SeverityError, File: r.file, Line: len(r.lines), Column: 1, Length: 1, Help: "titrate explain " + codeMany,
			Message: fmt.Sprintf("there are more than %d problems; the others are not shown", maxProblems),
		}
		r.problems = append(r.problems, end)
	}
	return true
}

// put records a problem, with its position held inside the file.
func (r *reader) put(p Problem) {
	if r.full() {
		return
	}
	p.File = r.file
	p.Line = min(max(p.Line, 1), len(r.lines))
	p.Source = r.line(p.Line)
	if len(p.Source) > maxLine {
		p.Source = ""
	}
	width := utf8.RuneCountInString(p.Source)
	p.Column = min(max(p.Column, 1), width+1)
	p.Length = max(1, min(p.Length, width+1-p.Column))
	if p.Severity == "" {
		p.Severity = SeverityError
	}
	if p.Help == "" {
		p.Help = "titrate explain " + p.Code
	}
	r.problems = append(r.problems, p)
}

// fault records a problem with a node. Of a gap only that is told that it is one.
func (r *reader) fault(n *yaml.Node, p Problem) {
	if r.full() || isGap(n) && p.Code != codeAnchor {
		return
	}
	p.Line, p.Column, p.Length = n.Line, n.Column, r.width(n)
	r.put(p)
}

// faultIn records a problem with the part of a scalar that begins at byte offset
// and is length bytes long. Where the scalar is not written as it is read
// (escapes, several lines), the whole scalar is marked.
func (r *reader) faultIn(n *yaml.Node, offset, length int, p Problem) {
	if r.full() {
		return
	}
	start, ok := r.verbatim(n)
	if !ok || offset < 0 || offset > len(n.Value) {
		r.fault(n, p)
		return
	}
	end := min(max(offset+length, offset), len(n.Value))
	p.Line, p.Column = n.Line, start+len([]rune(n.Value[:offset]))
	p.Length = len([]rune(n.Value[offset:end]))
	r.put(p)
}

// verbatim returns the column at which a scalar's value stands in its line, if
// it stands there letter by letter.
func (r *reader) verbatim(n *yaml.Node) (column int, ok bool) {
	line := []rune(r.line(n.Line))
	column = n.Column
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		column++
	}
	if n.Kind != yaml.ScalarNode || column < 1 || column > len(line) {
		return 0, false
	}
	return column, strings.HasPrefix(string(line[column-1:]), n.Value)
}

// width returns how many characters to underline of a node: a scalar with its
// quotes, or the first character of anything else.
func (r *reader) width(n *yaml.Node) int {
	column, ok := r.verbatim(n)
	if !ok {
		return 1
	}
	return len([]rune(n.Value)) + 2*(column-n.Column)
}

// pair is a key with its value in a mapping.
type pair struct {
	key   *yaml.Node
	name  string
	value *yaml.Node
	path  string
}

// pairs returns the keys of a mapping with their values. A node without value
// is an empty mapping; anything else is reported as not being what was expected.
func (r *reader) pairs(n *yaml.Node, path, expected string) []pair {
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		r.wrongType(n, path, expected)
		return nil
	}
	var out []pair
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if isGap(k) {
			continue
		}
		if k.Kind != yaml.ScalarNode || k.Value == "" {
			p := Problem{Code: codeType, Path: path, Message: "a key of " + place(path) + " is not a word", Hint: "text that begins with { or [ stands in quotes"}
			if k.Kind == yaml.ScalarNode {
				p.Message, p.Hint = "a key of "+place(path)+" is empty", "write a word before the colon"
			}
			r.fault(k, p)
			continue
		}
		p := pair{key: k, name: k.Value, value: v, path: join(path, k.Value)}
		if before, twice := seen[p.name]; twice {
			r.fault(k, Problem{
				Code: codeDuplicate, Path: p.path, Message: "the key " + quote(p.name) + " stands twice in " + place(path),
				Hint: "first in line " + strconv.Itoa(before.Line),
			})
			continue
		}
		seen[p.name] = k
		out = append(out, p)
	}
	return out
}

// entry is a value that was read, with where it stood.
type entry struct {
	value any
	pair
}

// layer holds what one mapping says: values by key, all of them readable.
type layer map[string]entry

// table reads a mapping whose keys are those of the table at place in.
func (r *reader) table(n *yaml.Node, path string, in Place) layer {
	out := layer{}
	for _, p := range r.pairs(n, path, "keys with values, one a line") {
		k, ok := r.known(p, path, in)
		if !ok {
			continue
		}
		if isNull(p.value) && !k.kind.null {
			r.fault(p.key, Problem{
				Code: codeType, Path: p.path, Message: p.path + " has no value",
				Hint: "expected " + k.kind.accepts, Help: "titrate explain " + k.Name,
			})
			continue
		}
		if v, ok := k.kind.read(r, p.value, p.path); ok {
			out[k.Name] = entry{v, p}
		}
	}
	return out
}

// known looks a key up, and says of one that is not served here why not.
func (r *reader) known(p pair, path string, in Place) (Key, bool) {
	for _, k := range r.keys {
		if k.Places&in == 0 || k.Later != "" || k.Name != p.name && !slices.Contains(k.Aliases, p.name) {
			continue
		}
		if !r.functions && in&(inDefaults|inEnvironment) != 0 && k.Places&ofFunctions != 0 && k.Places&(inService|inOverride) == 0 {
			r.fault(p.key, Problem{
				Code: codeForFunctions, Path: p.path, Message: quote(p.name) + " in " + place(path) + " is for functions, and there are none",
				Hint: "remove it, or add functions", Help: "titrate explain " + p.name,
			})
			return Key{}, false
		}
		return k, true
	}
	if !r.full() {
		r.fault(p.key, r.strange(p, path, in))
	}
	return Key{}, false
}

// strange says why a key is not served here: it comes later, stands elsewhere,
// or does not exist.
func (r *reader) strange(p pair, path string, in Place) Problem {
	var elsewhere Place
	var near []string
	here, later := false, ""
	for _, k := range r.keys {
		switch {
		case k.Name == p.name && k.Later != "" && k.Places&in != 0:
			here, later = true, k.Later
		case k.Name == p.name && k.Later != "":
			later = cmp.Or(later, k.Later)
		case k.Name == p.name:
			elsewhere |= k.Places
		case k.Places&in != 0 && k.Later == "":
			near = append(near, k.Name)
		}
	}
	if here || later != "" && elsewhere == 0 {
		return Problem{
			Code: codeLaterKey, Path: p.path, Message: quote(p.name) + " in " + place(path) + " is not available yet",
			Hint: later, Help: "remove it; titrate explain " + p.name,
		}
	}
	if in&ofFunctions != 0 {
		if why, instead := notForFunctions(p.name); why != "" {
			return Problem{Code: codeNotFunction, Path: p.path, Message: quote(p.name) + " does not belong in " + place(path) + ": " + why, Hint: instead}
		}
	}
	meant := nearest(p.name, near)
	// One letter from a key of this place is a typo, also where it is a key of another.
	if elsewhere != 0 && (meant == "" || distance(p.name, meant) > 1) {
		hint := "it is a key of " + elsewhere.String()
		if elsewhere&inLimits != 0 && in&(inService|inOverride) != 0 {
			hint = "it is a key of limits; functions have it beside their other settings"
		}
		return Problem{
			Code: codeMisplaced, Path: p.path, Message: quote(p.name) + " does not belong in " + place(path),
			Hint: hint, Help: "titrate explain " + p.name,
		}
	}
	problem := Problem{Code: codeUnknownKey, Path: p.path, Message: "unknown key " + quote(p.name) + " in " + place(path)}
	if meant != "" {
		problem.Hint, problem.Help = "did you mean "+quote(meant)+"?", "titrate explain "+meant
	}
	return problem
}

// wrongType says that a node is not what was expected.
func (r *reader) wrongType(n *yaml.Node, path, expected string) {
	p := Problem{Code: codeType, Path: path, Message: place(path) + " is " + describe(n), Hint: "expected " + expected}
	r.fault(n, p)
}

// describe says what a node is, in words.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "empty"
	case n.Tag == "!!str":
		return "the text " + quote(n.Value)
	case n.Tag == "!!bool":
		return "the truth value " + n.Value
	case n.Tag == "!!timestamp":
		return "the date " + n.Value
	}
	return "the number " + short(n.Value)
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// place names a path for a person.
func place(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

// join appends a key to a path.
func join(path, key string) string {
	if key = short(key); path == "" {
		return key
	}
	return path + "." + key
}

// item appends a list index to a path.
func item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// short cuts what a user wrote to a length that fits in a message.
func short(s string) string {
	if c := []rune(s); len(c) > 60 {
		return string(c[:57]) + "…"
	}
	return s
}

func quote(s string) string { return `"` + short(s) + `"` }
