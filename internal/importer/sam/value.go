package sam

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Limits of what is read. CloudFormation's own limit of a template is 1 MB.
const (
	maxFile  = 1 << 20
	maxNodes = 100_000
	maxDepth = 64
	maxSteps = 500_000 // looks at values, so that Globals times functions end
	maxText  = 64 << 10
	maxBytes = 64 << 20 // of all keys and texts that are made
)

type kind int

const (
	scalar kind = iota
	table
	list
)

// value is a part of a template. Tags such as !Ref are tables {Ref: …}.
type value struct {
	line    int
	path    string
	kind    kind
	text    string
	fields  []field
	index   map[string]*value
	items   []*value
	seen    bool // a leaf that is carried or listed
	unknown bool // text that holds what only AWS knows
}

type field struct {
	name  string
	value *value
}

// field is what stands under a key, nil when nothing does.
func (v *value) field(key string) *value {
	if v == nil {
		return nil
	}
	return v.index[key]
}

func (v *value) set(key string, to *value) {
	if v.index == nil {
		v.index = map[string]*value{}
	}
	v.index[key] = to
	v.fields = append(v.fields, field{key, to})
}

func (v *value) leaf() bool { return len(v.fields) == 0 && len(v.items) == 0 }

// take marks a leaf as carried.
func (v *value) take() *value {
	if v != nil && v.leaf() {
		v.seen = true
	}
	return v
}

// each calls f for every leaf.
func (v *value) each(f func(*value)) {
	if v == nil {
		return
	}
	if v.leaf() {
		f(v)
	}
	for _, x := range v.fields {
		x.value.each(f)
	}
	for _, x := range v.items {
		x.each(f)
	}
}

// all marks every leaf.
func (v *value) all() { v.each(func(l *value) { l.seen = true }) }

// parse reads the one document of a YAML or JSON text.
func parse(src []byte, file string) (*value, error) {
	if len(src) > maxFile {
		return nil, &TemplateError{File: file, What: fmt.Sprintf("the template is larger than %d bytes, as no template of CloudFormation may be", maxFile), Instead: "split it"}
	}
	loader, err := yaml.NewLoader(bytes.NewReader(src), yaml.WithUniqueKeys(false))
	if err != nil {
		return nil, &TemplateError{File: file, What: err.Error()}
	}
	var doc yaml.Node
	if err := loader.Load(&doc); errors.Is(err, io.EOF) {
		return nil, &TemplateError{File: file, Line: 1, What: "the template is empty", Instead: "name another file"}
	} else if err != nil {
		return nil, &TemplateError{File: file, What: err.Error(), Instead: "correct the YAML"}
	}
	root := &doc
	if doc.Kind == yaml.DocumentNode && len(doc.Content) > 0 {
		root = doc.Content[0]
	}
	var next yaml.Node
	if err := loader.Load(&next); !errors.Is(err, io.EOF) {
		return nil, &TemplateError{file, next.Line, "there is more than one document, or none that can be read", "keep one document in a template"}
	}
	c := conversion{file: file, left: maxNodes, aliased: map[*value]bool{}}
	v := c.value(root, root.Line, "", 0)
	if c.err != nil {
		return nil, c.err
	}
	return v, nil
}

// conversion makes values of YAML's nodes.
type conversion struct {
	file string
	left int
	made int // bytes of keys
	err  error
	// aliased are the merged tables that stand elsewhere, too.
	aliased map[*value]bool
}

func (c *conversion) fail(line int, what, instead string) {
	if c.err == nil {
		c.err = &TemplateError{c.file, line, what, instead}
	}
}

func (c *conversion) value(y *yaml.Node, line int, path string, depth int) *value {
	v := &value{line: line, path: path}
	if c.left--; c.left < 0 {
		c.fail(line, "the template's aliases, or the template, make too much: more than 100000 values", "write fewer, or without aliases")
	} else if c.made += len(path); c.made > maxBytes {
		c.fail(line, "the template's keys are too long", "write shorter ones")
	} else if depth > maxDepth {
		c.fail(line, "the template is nested deeper than 64 levels, or an alias holds itself", "write it flatter")
	}
	if c.err != nil {
		return v
	}
	if y.Kind == yaml.AliasNode && y.Alias != nil {
		return c.value(y.Alias, line, path, depth+1)
	}
	if name := intrinsicOf(y.Tag); name != "" {
		bare := *y
		bare.Tag = ""
		v.kind = table
		v.set(name, c.value(&bare, line, join(path, name), depth+1))
		return v
	}
	switch y.Kind {
	case yaml.MappingNode:
		v.kind = table
		c.fields(v, y, depth)
	case yaml.SequenceNode:
		v.kind = list
		for i, item := range y.Content {
			v.items = append(v.items, c.value(item, item.Line, fmt.Sprintf("%s[%d]", path, i), depth+1))
		}
	default:
		if y.Tag != "!!null" {
			v.text = y.Value
		}
	}
	return v
}

// fields reads a mapping. A key that is there twice is an error: one of the two
// would be dropped.
func (c *conversion) fields(v *value, y *yaml.Node, depth int) {
	var merged []*value
	for i := 0; i+1 < len(y.Content) && c.err == nil; i += 2 {
		key, val := y.Content[i], y.Content[i+1]
		switch {
		case key.Kind == yaml.AliasNode && key.Alias != nil && key.Alias.Kind == yaml.ScalarNode:
			key = key.Alias
		case key.Kind != yaml.ScalarNode:
			c.fail(key.Line, "a key is a table or a list", "write a plain key")
			return
		}
		if key.Tag == "!!merge" {
			sources := []*yaml.Node{val}
			if val.Kind == yaml.SequenceNode {
				sources = val.Content
			}
			for _, s := range sources {
				m := c.value(s, s.Line, v.path, depth+1)
				c.aliased[m] = s.Kind == yaml.AliasNode // what it overrides is read at its anchor
				merged = append(merged, m)
			}
			continue
		}
		if v.field(key.Value) != nil {
			c.fail(key.Line, fmt.Sprintf("the key %q is there twice", key.Value), "keep one of them")
			return
		}
		v.set(key.Value, c.value(val, key.Line, join(v.path, key.Value), depth+1))
	}
	for _, m := range merged {
		if m.kind != table {
			c.fail(m.line, "a merge key (<<) brings something that is no table", "name an anchor of a table")
		}
		for _, f := range m.fields {
			if old := v.field(f.name); old == nil {
				v.set(f.name, f.value)
			} else if !c.aliased[m] {
				c.fail(f.value.line, fmt.Sprintf("a merge key (<<) brings %q, which is there already", f.name), "keep one of them")
			}
		}
	}
}

// intrinsicOf is the long form of a YAML tag of CloudFormation.
func intrinsicOf(tag string) string {
	if !strings.HasPrefix(tag, "!") || strings.HasPrefix(tag, "!!") || len(tag) < 2 {
		return ""
	}
	switch name := tag[1:]; name {
	case "Ref", "Condition":
		return name
	default:
		return "Fn::" + name
	}
}

func join(path, key string) string {
	if key == "" {
		key = `""`
	}
	if path == "" {
		return key
	}
	return path + "." + key
}
