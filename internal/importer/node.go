package importer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// node is a value of a file with the line it stands on, whatever the file's
// language. What a reader uses of it is taken; what is left at the end was not
// carried over. All methods work on a nil node, which is a value that is not there.
type node struct {
	file string
	line int
	path string // services.web.ports
	kind kind
	text string // of a scalar
	bare bool   // a scalar without quotes: null and true mean what they say

	fields []*field // of a table
	items  []*node  // of a list
	taken  bool

	asked [kinds]bool // as what readers asked for it
	odd   string      // why its text is nothing that a reader can use
	told  bool        // it is in a note
}

type kind int

const (
	scalar kind = iota
	table
	list
	kinds
)

// kindNames are what a person calls them.
var kindNames = [kinds]string{"one value", "a mapping", "a list"}

// as says that a reader asks for a value of a kind.
func (n *node) as(k kind) *node {
	if n != nil {
		n.asked[k] = true
	}
	return n
}

// amiss is why no reader could use the value as it stands: nobody asked for one of its
// kind, or its text says nothing. Empty: there is no such reason.
func (n *node) amiss() string {
	if n.null() {
		return ""
	}
	if n.odd != "" {
		return n.odd
	}
	var wanted []string
	for k, asked := range n.asked {
		if asked {
			wanted = append(wanted, kindNames[k])
		}
	}
	if n.asked[n.kind] || len(wanted) == 0 {
		return ""
	}
	return "it is " + kindNames[n.kind] + " where " + strings.Join(wanted, " or ") + " belongs"
}

type field struct {
	name  string
	value *node
}

// find returns the value of a key without taking it.
func (n *node) find(name string) *node { return n.as(table).under(name) }

// under is what stands under a key, for those who make nodes.
func (n *node) under(name string) *node {
	if n == nil {
		return nil
	}
	for _, f := range n.fields {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

// get returns the value of a key, or nil, and takes it.
func (n *node) get(name string) *node { return n.find(name).take() }

// take says that the value itself is used; what stands inside it is not, yet.
func (n *node) take() *node {
	if n != nil {
		n.taken = true
	}
	return n
}

// all takes the value with everything in it.
func (n *node) all() *node {
	if n == nil {
		return nil
	}
	n.taken = true
	for _, f := range n.fields {
		f.value.all()
	}
	for _, i := range n.items {
		i.all()
	}
	return n
}

// each returns the items of a list, or the value itself where one is meant, taken.
func (n *node) each() []*node {
	switch {
	case n == nil || n.null():
		return nil
	case n.kind != list:
		return []*node{n.take()}
	}
	for _, i := range n.as(list).items {
		i.take()
	}
	return n.items
}

// pairs returns the fields of a table, in the order of the file, taken.
func (n *node) pairs() []*field {
	for _, f := range n.entries() {
		f.value.take()
	}
	return n.entries()
}

func (n *node) entries() []*field {
	if n == nil {
		return nil
	}
	return n.as(table).fields
}

func (n *node) null() bool {
	return n == nil || n.kind == scalar && n.bare && (n.text == "" || n.text == "~" || strings.EqualFold(n.text, "null"))
}

// str is the text of a scalar; empty for anything else.
func (n *node) str() string {
	if n.as(scalar) == nil || n.kind != scalar || n.null() {
		return ""
	}
	return n.text
}

// yes reports whether a scalar says true.
func (n *node) yes() bool {
	text := strings.ToLower(n.str())
	if text != "" && !slices.Contains([]string{"true", "yes", "on", "1", "false", "no", "off", "0"}, text) {
		n.odd = fmt.Sprintf("%q is neither true nor false", n.text)
	}
	return slices.Contains([]string{"true", "yes", "on", "1"}, text)
}

// number returns the whole number that a scalar says, if it says one.
func (n *node) number() (v int, ok bool) {
	text := n.str()
	v, err := strconv.Atoi(text)
	if err != nil && text != "" {
		n.odd = fmt.Sprintf("%q is no whole number", text)
	}
	return v, err == nil
}

// words are the texts of a list of scalars, taken.
func (n *node) words() []string {
	var out []string
	for _, i := range n.each() {
		if i.as(scalar).kind == scalar {
			out = append(out, i.text)
		}
	}
	return out
}

func (n *node) where() Place {
	if n == nil {
		return Place{}
	}
	return Place{File: n.file, Line: n.line}
}

// keyed makes a table of a list of KEY=VALUE, as compose writes environments and
// labels in either way. A KEY alone has no value. What is no KEY is left beside it.
func (n *node) keyed() *node {
	if n == nil || n.kind != list {
		return n
	}
	n.all() // what is left is looked for in the table
	t := &node{file: n.file, line: n.line, path: n.path, kind: table}
	for _, i := range n.items {
		name, value, given := strings.Cut(i.text, "=")
		if i.kind != scalar || name == "" {
			i.odd = "it is not NAME=VALUE"
			t.items = append(t.items, i)
			continue
		}
		v := &node{file: i.file, line: i.line, path: join(n.path, name), text: value, bare: !given}
		t.fields = append(slices.DeleteFunc(t.fields, func(f *field) bool { return f.name == name }), &field{name, v})
	}
	return t
}

// replaced lists the keys whose lists a service that extends another one replaces.
var replaced = []string{"command", "entrypoint", "test"}

// merge returns base with what over says: tables key by key, lists one after the
// other, anything else replaced (compose-spec, 13-merge).
func merge(base, over *node) *node {
	switch {
	case over == nil:
		return base
	case base == nil || base.kind != over.kind || over.kind == scalar:
		return over
	case over.kind == list:
		both := *over
		both.items = append(slices.Clone(base.items), over.items...)
		base.take()
		over.take()
		return &both
	}
	both := *over
	both.fields, both.items = nil, append(slices.Clone(base.items), over.items...)
	// What is left is looked for in the result: both share what is inside.
	base.take()
	over.take()
	for _, f := range base.fields {
		mine := over.under(f.name)
		switch {
		case mine == nil:
			both.fields = append(both.fields, f)
		case slices.Contains(replaced, f.name):
			both.fields = append(both.fields, &field{f.name, mine})
		case f.name == "environment" || f.name == "labels" || f.name == "args":
			both.fields = append(both.fields, &field{f.name, merge(f.value.keyed(), mine.keyed())})
		default:
			both.fields = append(both.fields, &field{f.name, merge(f.value, mine)})
		}
	}
	for _, f := range over.fields {
		if base.under(f.name) == nil {
			both.fields = append(both.fields, f)
		}
	}
	return &both
}

// left calls tell for the outermost of what nobody took, or could use as it stands, in
// the order of the file.
func (n *node) left(tell func(*node)) {
	if n == nil || n.told {
		return
	}
	if !n.taken || n.amiss() != "" {
		tell(n)
		return
	}
	for _, f := range n.fields {
		f.value.left(tell)
	}
	for _, i := range n.items {
		i.left(tell)
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
