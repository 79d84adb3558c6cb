package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"go.yaml.in/yaml/v4"
)

// Limits of what is read: real files are some kilobytes, and aliases of aliases
// must not make gigabytes of them.
const (
	maxFile  = 1 << 20
	maxNodes = 100_000
	maxDepth = 64
)

// readFile reads a file of the tree, if it is not larger than any real one.
func readFile(tree fs.FS, name string) ([]byte, error) {
	f, err := tree.Open(name)
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	defer func() { _ = f.Close() }() // it was read only
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a folder, not a file", name)
	}
	src, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(src) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxFile)
	}
	return src, err
}

// parseYAML reads the first document of a YAML text with anchors, aliases and merge
// keys resolved. An empty text is an empty table.
func parseYAML(src []byte, file string) (*node, error) {
	loader, err := yaml.NewLoader(bytes.NewReader(src), yaml.WithUniqueKeys(false))
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := loader.Load(&doc); errors.Is(err, io.EOF) {
		return &node{file: file, line: 1, kind: table, taken: true}, nil
	} else if err != nil {
		return nil, err
	}
	root := &doc
	if doc.Kind == yaml.DocumentNode && len(doc.Content) > 0 {
		root = doc.Content[0]
	}
	c := conversion{file: file, left: maxNodes}
	return c.node(root, root.Line, "", 0).take(), c.err
}

// conversion makes nodes of YAML's.
type conversion struct {
	file string
	left int // nodes that may still be made
	err  error
}

func (c *conversion) node(y *yaml.Node, line int, path string, depth int) *node {
	n := &node{file: c.file, line: line, path: path, bare: true}
	if c.left--; c.left < 0 || depth > maxDepth {
		c.err = errors.New("the file is nested too deep, or its aliases make too much of it")
		return n
	}
	for y.Kind == yaml.AliasNode && y.Alias != nil {
		y = y.Alias
	}
	switch y.Kind {
	default: // an empty value
	case yaml.MappingNode:
		n.kind = table
		c.fields(n, y, depth)
	case yaml.SequenceNode:
		n.kind = list
		for i, item := range y.Content {
			n.items = append(n.items, c.node(item, item.Line, fmt.Sprintf("%s[%d]", path, i), depth+1))
		}
	case yaml.ScalarNode:
		n.text, n.bare = y.Value, y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
		if y.Tag == "!reset" {
			n.text, n.bare = "", true
		}
	}
	return n
}

// fields reads a mapping. What a merge key brings stands behind what is written,
// and the last of two equal keys counts.
func (c *conversion) fields(n *node, y *yaml.Node, depth int) {
	var merged []*node
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := y.Content[i], y.Content[i+1]
		if key.Tag == "!!merge" || key.Value == "<<" {
			sources := []*yaml.Node{value}
			if value.Kind == yaml.SequenceNode {
				sources = value.Content
			}
			for _, source := range sources {
				merged = append(merged, c.node(source, source.Line, n.path, depth+1))
			}
			continue
		}
		v := c.node(value, key.Line, join(n.path, key.Value), depth+1)
		if old := n.under(key.Value); old != nil {
			*old = *v
		} else {
			n.fields = append(n.fields, &field{key.Value, v})
		}
	}
	for _, m := range merged {
		for _, f := range m.fields {
			if n.under(f.name) == nil {
				n.fields = append(n.fields, f)
			}
		}
	}
}
