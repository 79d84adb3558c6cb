package serverless

import (
	"fmt"
	"io/fs"
	"strings"
)

// resolver replaces the variables of a project by what the caller and the project's
// own files say. What only a running account or program can tell stays as it is
// written and is listed.
type resolver struct {
	tree  fs.FS
	dir   string // of the service
	opts  Options
	root  *node
	files map[string]*node

	nodes, text int // spent
	depth       int
	lost        []Lost
	listed      map[Lost]bool // what is in lost
}

// found is how a variable ended.
type found int

const (
	missing found = iota // nobody says it: the next fallback counts
	known
	unknown // only somebody else can tell it: the text stays
)

// spend counts what is made, and refuses what no real project needs.
func (r *resolver) spend(at At, nodes, text int) error {
	if r.nodes, r.text = r.nodes+nodes, r.text+text; r.nodes > maxNodes || r.text > maxText {
		return &Error{File: at.File, Line: at.Line, Why: "aliases or variables make too much of the project here", Hint: "write the values out, or split the service"}
	}
	return nil
}

// all resolves a value and everything under it.
func (r *resolver) all(n *node) error {
	if n == nil || n.resolved {
		return nil
	}
	if err := r.one(n); err != nil {
		return err
	}
	for _, children := range [][]*node{n.fields, n.items} {
		for _, c := range children {
			if err := r.all(c); err != nil {
				return err
			}
		}
	}
	n.resolved = true
	return nil
}

// one resolves a scalar's own variables; it becomes what they stand for.
func (r *resolver) one(n *node) error {
	if n.kind != scalar || n.resolved || !strings.Contains(n.text, "${") {
		return nil
	}
	if n.resolving {
		return &Error{File: n.File, Line: n.Line, Why: fmt.Sprintf("the variable at %s needs its own value", n.path()), Hint: "break the circle: give one of them a plain value"}
	}
	if r.depth++; r.depth > maxDepth {
		return &Error{File: n.File, Line: n.Line, Why: "a chain of variables is too long", Hint: "name the last value directly"}
	}
	n.resolving = true
	defer func() { n.resolving = false; r.depth-- }()
	parts := split(n.text)
	if len(parts) == 1 && parts[0].variable {
		v, how, err := r.variable(parts[0].text, n)
		if err != nil || how != known {
			n.resolved, n.unknown = err == nil, true
			return err
		}
		return r.become(n, v)
	}
	text, whole, err := r.interpolate(parts, n)
	n.text, n.resolved, n.unknown = text, true, !whole
	return err
}

// interpolate builds a text of its parts; whole: every variable in it was known.
func (r *resolver) interpolate(parts []part, at *node) (text string, whole bool, err error) {
	var out strings.Builder
	whole = true
	for _, p := range parts {
		if !p.variable {
			out.WriteString(p.text)
			continue
		}
		v, how, err := r.variable(p.text, at)
		switch {
		case err != nil:
			return "", false, err
		case how != known:
			out.WriteString("${" + p.text + "}")
			whole = false
		case v.kind != scalar:
			r.report(at, "${"+p.text+"}", "it stands for a mapping or a list inside a text", "write the value out")
			out.WriteString("${" + p.text + "}")
			whole = false
		default:
			whole = whole && !v.unknown
			out.WriteString(v.text)
			v.taken = true
		}
		if out.Len() > maxText {
			return "", false, r.spend(at.At, 0, out.Len())
		}
	}
	return out.String(), whole, r.spend(at.At, 0, out.Len())
}

// variable evaluates the inside of a ${…}: the first choice that somebody says.
func (r *resolver) variable(inside string, at *node) (*node, found, error) {
	if r.depth++; r.depth > maxDepth {
		return nil, missing, &Error{File: at.File, Line: at.Line, Why: "variables are nested too deep", Hint: "name the last value directly"}
	}
	defer func() { r.depth-- }()
	var tried []reason
	var null *node
	for _, choice := range choices(inside) {
		v, how, why, err := r.choice(choice, at)
		switch {
		case err != nil:
			return nil, missing, err
		case how == unknown:
			r.report(at, "${"+inside+"}", why.why, why.instead)
			return nil, unknown, nil
		case how == known && !v.null():
			for _, t := range tried {
				if t.told {
					r.report(at, "${"+inside+"}", t.why+": the fallback was taken", t.instead)
				}
			}
			return v, known, nil
		case how == known:
			null = v
		default:
			tried = append(tried, why)
		}
	}
	if null != nil {
		return null, known, nil
	}
	last := tried[len(tried)-1]
	r.report(at, "${"+inside+"}", last.why, last.instead)
	return nil, missing, nil
}

// reason is why a choice gave nothing.
type reason struct {
	why, instead string
	told         bool // a person should know it though a fallback was taken
}

// choice evaluates one choice, the variables within it first.
func (r *resolver) choice(text string, at *node) (*node, found, reason, error) {
	parts := split(text)
	if len(parts) == 1 && parts[0].variable {
		v, how, err := r.variable(parts[0].text, at)
		return v, how, reason{why: "the variable within has no value", instead: "give it a value"}, err
	}
	whole := true
	if len(parts) > 1 {
		var err error
		if text, whole, err = r.interpolate(parts, at); err != nil {
			return nil, missing, reason{}, err
		}
	}
	if !whole {
		return nil, unknown, reason{why: "a variable within it is not known here", instead: "give its value"}, nil
	}
	s, ok := parseSource(text)
	if !ok {
		return nil, unknown, reason{why: fmt.Sprintf("%.80q is no variable source", text), instead: "write ${self:…}, ${opt:…}, ${env:…} or ${file(…)}"}, nil
	}
	return r.source(s, at)
}

// become puts a copy of what a variable stands for in its place.
func (r *resolver) become(n, v *node) error {
	parent, key, own := n.parent, n.key, n.At
	c, err := r.copy(v, own)
	if err != nil {
		return err
	}
	v.take()
	if c.File == "" {
		c.At = own
	}
	*n = *c
	n.parent, n.key, n.resolved, n.taken = parent, key, true, false
	for _, children := range [][]*node{n.fields, n.items} {
		for _, c := range children {
			c.parent = n
		}
	}
	return nil
}

func (r *resolver) copy(v *node, at At) (*node, error) {
	if err := r.spend(at, 1, len(v.text)); err != nil {
		return nil, err
	}
	c := &node{At: v.At, key: v.key, kind: v.kind, text: v.text, bare: v.bare, unknown: v.unknown, resolved: true}
	for _, f := range v.fields {
		child, err := r.copy(f, at)
		if err != nil {
			return nil, err
		}
		child.parent = c
		c.fields = append(c.fields, child)
	}
	for _, item := range v.items {
		child, err := r.copy(item, at)
		if err != nil {
			return nil, err
		}
		child.parent = c
		c.items = append(c.items, child)
	}
	return c, nil
}

// report lists what is not carried, once for each place.
func (r *resolver) report(n *node, text, why, instead string) {
	if len(text) > 2*longestKey {
		text = text[:2*longestKey] + "…"
	}
	l := Lost{At: n.At, Key: n.path(), Why: text + ": " + why, Instead: instead}
	if r.listed[l] {
		return
	}
	if r.listed == nil {
		r.listed = map[Lost]bool{}
	}
	r.listed[l] = true
	r.lost = append(r.lost, l)
}
