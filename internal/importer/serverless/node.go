package serverless

import (
	"strconv"
	"strings"
)

// node is a value of a file with the place where it was written. Every read through
// its methods marks what was read as taken: what is not taken at the end is listed as
// lost, so that a key that no reader knows cannot vanish. All methods work on nil,
// which is a value that is not there.
type node struct {
	At
	key    string // in its parent: a name, or [0]
	parent *node

	kind kind
	text string // of a scalar
	bare bool   // a scalar without quotes: null and true mean what they say

	fields []*node          // of a table, each with a key of its own
	index  map[string]*node // of many fields, made when first asked
	items  []*node          // of a list

	taken     bool
	resolving bool // its variables are being resolved now
	resolved  bool // all variables in and under it are resolved
	unknown   bool // its text still holds a variable that nobody can tell here
	odd       string
}

type kind int

const (
	scalar kind = iota
	table
	list
)

// longestKey bounds what a message shows of one key.
const longestKey = 120

// path is the key from the root of its file: functions.hello.events[0].
func (n *node) path() string {
	var parts []string
	for at := n; at != nil && at.parent != nil; at = at.parent {
		key := at.key
		if len(key) > longestKey {
			key = key[:longestKey] + "…"
		}
		parts = append(parts, key)
	}
	var out strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		if out.Len() > 0 && !strings.HasPrefix(parts[i], "[") {
			out.WriteByte('.')
		}
		out.WriteString(parts[i])
	}
	return out.String()
}

// under is the value of a key; it takes nothing.
func (n *node) under(keys ...string) *node {
	for _, key := range keys {
		if n == nil {
			return nil
		}
		n = n.field(key)
	}
	return n
}

func (n *node) field(key string) *node {
	if len(n.fields) <= 16 {
		for _, f := range n.fields {
			if f.key == key {
				return f
			}
		}
		return nil
	}
	if n.index == nil {
		n.index = make(map[string]*node, len(n.fields))
		for _, f := range n.fields {
			n.index[f.key] = f
		}
	}
	return n.index[key]
}

// null tells whether there is no value: no key, an empty one, or null.
func (n *node) null() bool {
	return n == nil || n.kind == scalar && n.bare && (n.text == "" || n.text == "~" || n.text == "null" || n.text == "Null" || n.text == "NULL")
}

// take marks a value and all under it as carried.
func (n *node) take() *node {
	if n == nil {
		return nil
	}
	n.taken = true
	for _, f := range n.fields {
		f.take()
	}
	for _, item := range n.items {
		item.take()
	}
	return n
}

// str reads a scalar's text.
func (n *node) str() string {
	if n == nil || n.kind != scalar {
		return ""
	}
	n.taken = true
	if n.null() {
		return ""
	}
	return n.text
}

// strs reads a list of scalars, or one scalar as a list of one.
func (n *node) strs() []string {
	if n == nil || n.null() {
		n.str()
		return nil
	}
	if n.kind == scalar {
		return []string{n.str()}
	}
	var out []string
	for _, item := range n.items {
		if item.kind == scalar {
			out = append(out, item.str())
		}
	}
	return out
}

// num reads a whole number; nil: there is none. Other text stays to be listed.
func (n *node) num() *int {
	if n == nil || n.kind != scalar {
		return nil
	}
	if n.null() {
		n.taken = true
		return nil
	}
	i, err := strconv.Atoi(strings.TrimSuffix(n.text, ".0"))
	if err != nil {
		n.odd = "it is not a whole number"
		return nil
	}
	n.taken = true
	return &i
}

// truth reads yes or no; nil: there is none. Other text stays to be listed.
func (n *node) truth() *bool {
	if n == nil || n.kind != scalar {
		return nil
	}
	if n.null() {
		n.taken = true
		return nil
	}
	var yes bool
	switch strings.ToLower(n.text) {
	case "true", "yes", "on":
		yes = true
	case "false", "no", "off":
	default:
		n.odd = "it is neither true nor false"
		return nil
	}
	n.taken = true
	return &yes
}

// json reads a value of any shape as JSON.
func (n *node) json() string {
	var out strings.Builder
	n.take().writeJSON(&out)
	return out.String()
}

func (n *node) writeJSON(out *strings.Builder) {
	switch {
	case n == nil:
	case n.kind == table:
		for i, f := range n.fields {
			out.WriteString(opening(i, "{"))
			out.WriteString(quoted(f.key) + ":")
			f.writeJSON(out)
		}
		out.WriteString(empty(len(n.fields), "{") + "}")
	case n.kind == list:
		for i, item := range n.items {
			out.WriteString(opening(i, "["))
			item.writeJSON(out)
		}
		out.WriteString(empty(len(n.items), "[") + "]")
	case n.null():
		out.WriteString("null")
	case n.bare && literal(n.text):
		out.WriteString(n.text)
	default:
		out.WriteString(quoted(n.text))
	}
}

func opening(i int, bracket string) string {
	if i == 0 {
		return bracket
	}
	return ","
}

func empty(n int, bracket string) string {
	if n == 0 {
		return bracket
	}
	return ""
}
