package importer

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// maxTOML bounds a TOML file: real ones are some kilobytes, and each bracket of an
// array is a call of the parser.
const maxTOML = 256 << 10

// parseTOML reads a TOML text with the lines of its keys, which the values alone do
// not tell.
func parseTOML(src []byte, file string) (*node, error) {
	if len(src) > maxTOML {
		return nil, fmt.Errorf("the file is larger than %d bytes", maxTOML)
	}
	var whole map[string]any
	invalid := toml.Unmarshal(src, &whole) // what the tree of a text does not tell: keys that stand twice
	if at := (*toml.DecodeError)(nil); errors.As(invalid, &at) {
		line, _ := at.Position()
		return nil, fmt.Errorf("line %d: %w", line, invalid)
	}
	t := tomlReader{src: src, file: file, line: 1}
	root := &node{file: file, line: 1, kind: table, taken: true}
	t.parser.Reset(src)
	for at := root; t.parser.NextExpression(); {
		if e := t.parser.Expression(); e.Kind == unstable.KeyValue {
			t.keyValue(at, e, 0)
		} else { // a [header] or [[header]]
			at = t.table(root, e)
		}
	}
	return root, cmp.Or(t.err, t.parser.Error(), invalid)
}

type tomlReader struct {
	parser unstable.Parser
	src    []byte
	file   string
	at     int // how far lines were counted
	line   int // on which at stands
	err    error
}

// lineOf is where a key stands. Keys come in the order of the file.
func (t *tomlReader) lineOf(key *unstable.Node) int {
	if to := int(key.Raw.Offset); to > t.at && to <= len(t.src) {
		t.line += bytes.Count(t.src[t.at:to], []byte("\n"))
		t.at = to
	}
	return t.line
}

// table finds or makes the table of a [header], or a new one of a [[header]].
func (t *tomlReader) table(root *node, e *unstable.Node) *node {
	at := root
	for keys := e.Key(); keys.Next(); {
		name, line := string(keys.Node().Data), t.lineOf(keys.Node())
		next := at.under(name)
		if next == nil {
			next = &node{file: t.file, line: line, path: join(at.path, name), kind: table}
			if e.Kind == unstable.ArrayTable && keys.IsLast() {
				next.kind = list
			}
			at.fields = append(at.fields, &field{name, next})
		}
		if next.kind == list { // the table that was opened last, or with the last key of a [[header]] the next one
			if e.Kind == unstable.ArrayTable && keys.IsLast() {
				path := fmt.Sprintf("%s[%d]", next.path, len(next.items))
				next.items = append(next.items, &node{file: t.file, line: line, path: path, kind: table})
			}
			if len(next.items) > 0 {
				next = next.items[len(next.items)-1]
			}
		}
		at = next
	}
	return at
}

// keyValue adds what a.b = value says to a table.
func (t *tomlReader) keyValue(at *node, e *unstable.Node, depth int) {
	for keys := e.Key(); keys.Next(); {
		name, line := string(keys.Node().Data), t.lineOf(keys.Node())
		if keys.IsLast() {
			if at.under(name) != nil && t.err == nil {
				t.err = fmt.Errorf("line %d: %s stands there twice", line, name)
			}
			at.fields = append(at.fields, &field{name, t.value(e.Value(), line, join(at.path, name), depth+1)})
			return
		}
		next := at.under(name)
		if next == nil {
			next = &node{file: t.file, line: line, path: join(at.path, name), kind: table}
			at.fields = append(at.fields, &field{name, next})
		}
		at = next
	}
}

func (t *tomlReader) value(v *unstable.Node, line int, path string, depth int) *node {
	n := &node{file: t.file, line: line, path: path}
	if depth > maxDepth {
		t.err = errors.New("the file is nested too deep")
		return n
	}
	switch v.Kind {
	case unstable.Array:
		n.kind = list
		for items := v.Children(); items.Next(); {
			n.items = append(n.items, t.value(items.Node(), line, fmt.Sprintf("%s[%d]", path, len(n.items)), depth+1))
		}
	case unstable.InlineTable:
		n.kind = table
		for items := v.Children(); items.Next(); {
			t.keyValue(n, items.Node(), depth)
		}
	default:
		n.text = string(v.Data)
	}
	return n
}
