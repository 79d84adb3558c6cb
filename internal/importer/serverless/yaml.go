package serverless

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Limits of what is read: real projects are some hundred kilobytes, and aliases of
// aliases or variables of variables must not make gigabytes of them.
const (
	maxFile  = 1 << 20
	maxFiles = 256
	maxNodes = 200_000
	maxText  = 8 << 20
	maxDepth = 64
)

// readFile reads a file of the project, if it is not larger than any real one.
func readFile(tree fs.FS, name string) ([]byte, error) {
	f, err := tree.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was read only
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, &Error{File: name, Why: "it is a folder, not a file"}
	}
	src, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(src) > maxFile {
		err = &Error{File: name, Line: 1, Why: fmt.Sprintf("the file is larger than %d bytes", maxFile), Hint: "split it with ${file(…)}"}
	}
	return src, err
}

// parse reads the first document of a YAML or JSON text with anchors, aliases, merge
// keys and CloudFormation's short tags resolved. An empty text is an empty table.
func (r *resolver) parse(src []byte, file string) (*node, error) {
	loader, err := yaml.NewLoader(bytes.NewReader(src), yaml.WithUniqueKeys(false))
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := loader.Load(&doc); errors.Is(err, io.EOF) {
		return &node{At: At{file, 1}, kind: table, taken: true}, nil
	} else if err != nil {
		e := &Error{File: file, Line: 1, Why: "not readable as YAML: " + err.Error(), Hint: "correct the text there"}
		var at *yaml.LoadError
		if errors.As(err, &at) && at.Mark.Line > 0 {
			e.Line = at.Mark.Line
		}
		return nil, e
	}
	root := &doc
	if doc.Kind == yaml.DocumentNode && len(doc.Content) > 0 {
		root = doc.Content[0]
	}
	c := conversion{file: file, r: r}
	n := c.node(root, root.Line, nil, "", 0)
	n.taken = n.kind != scalar && len(n.fields)+len(n.items) == 0 // there is no key to lose
	if c.err == nil {
		c.err = loader.Load(&yaml.Node{})
		if errors.Is(c.err, io.EOF) {
			c.err = nil
		} else {
			c.err = &Error{File: file, Line: 1, Why: "the file holds more than one document", Hint: "keep only the first"}
		}
	}
	return n, c.err
}

// conversion makes nodes of YAML's.
type conversion struct {
	file string
	r    *resolver
	err  error
}

func (c *conversion) node(y *yaml.Node, line int, parent *node, key string, depth int) *node {
	n := &node{At: At{c.file, max(line, 1)}, parent: parent, key: key, bare: true}
	if c.err != nil {
		return n
	}
	if err := c.r.spend(n.At, 1, 0); err != nil {
		c.err = err
		return n
	}
	if depth > maxDepth {
		c.err = &Error{File: c.file, Line: n.Line, Why: fmt.Sprintf("nested deeper than %d levels", maxDepth), Hint: "make it flatter"}
		return n
	}
	for y.Kind == yaml.AliasNode && y.Alias != nil {
		y = y.Alias
	}
	if name, short := intrinsic(y.Tag); short {
		return c.short(n, y, name, depth)
	}
	switch y.Kind {
	default: // an empty value
	case yaml.MappingNode:
		n.kind = table
		c.fields(n, y, depth)
	case yaml.SequenceNode:
		n.kind = list
		for i, item := range y.Content {
			n.items = append(n.items, c.node(item, item.Line, n, fmt.Sprintf("[%d]", i), depth+1))
		}
	case yaml.ScalarNode:
		n.text, n.bare = y.Value, y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	}
	return n
}

// short writes !GetAtt a.b as {Fn::GetAtt: [a, b]} (CloudFormation User Guide,
// "Intrinsic function reference").
func (c *conversion) short(n *node, y *yaml.Node, name string, depth int) *node {
	plain := *y
	plain.Tag = ""
	n.kind = table
	v := c.node(&plain, y.Line, n, name, depth+1)
	if resource, attr, ok := strings.Cut(v.text, "."); ok && name == "Fn::GetAtt" && v.kind == scalar {
		v.kind, v.text = list, ""
		for i, part := range []string{resource, attr} {
			v.items = append(v.items, &node{At: v.At, parent: v, key: fmt.Sprintf("[%d]", i), text: part})
		}
	}
	n.fields = []*node{v}
	return n
}

func intrinsic(tag string) (string, bool) {
	name, ok := strings.CutPrefix(tag, "!")
	if !ok || name == "" || strings.HasPrefix(name, "!") {
		return "", false
	}
	if name == "Ref" || name == "Condition" {
		return name, true
	}
	return "Fn::" + name, true
}

// fields reads a mapping. What a merge key brings stands behind what is written, and
// a key that stands twice is an error: one of the two would vanish.
func (c *conversion) fields(n *node, y *yaml.Node, depth int) {
	seen := map[string]bool{}
	var merged []*node
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := y.Content[i], y.Content[i+1]
		if key.Tag == "!!merge" || key.Value == "<<" {
			sources := []*yaml.Node{value}
			if value.Kind == yaml.SequenceNode {
				sources = value.Content
			}
			for _, source := range sources {
				merged = append(merged, c.node(source, source.Line, n, "<<", depth+1))
			}
			continue
		}
		if key.Kind != yaml.ScalarNode && key.Kind != yaml.AliasNode {
			c.err = &Error{File: c.file, Line: key.Line, Why: "a key is itself a mapping or a list", Hint: "write a name"}
			return
		}
		name := key.Value
		if key.Kind == yaml.AliasNode && key.Alias != nil {
			name = key.Alias.Value
		}
		if seen[name] {
			c.err = &Error{File: c.file, Line: key.Line, Why: fmt.Sprintf("the key %.60q stands twice", name), Hint: "delete one of the two"}
			return
		}
		seen[name] = true
		n.fields = append(n.fields, c.node(value, key.Line, n, name, depth+1))
	}
	for _, m := range merged {
		if m.kind != table && c.err == nil && !m.null() {
			c.err = &Error{File: c.file, Line: m.Line, Why: "a merge key << names something that is not a mapping", Hint: "merge a mapping"}
			return
		}
		for _, f := range m.fields {
			if !seen[f.key] {
				seen[f.key] = true
				f.parent = n
				n.fields = append(n.fields, f)
			}
		}
	}
}

// literal tells whether a bare text is a number or a truth in JSON too.
func literal(s string) bool {
	return s == "true" || s == "false" || s != "" && (s[0] == '-' || s[0] >= '0' && s[0] <= '9') && json.Valid([]byte(s))
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // cannot be: Marshal repairs every string
	}
	return string(b)
}
