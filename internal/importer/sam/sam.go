// Package sam reads AWS SAM templates, and plain CloudFormation as packaging tools
// write it, into functions, events, alarms and a list of all that was not carried.
//
// Sources: "AWS SAM template anatomy", "Globals section", "AWS SAM resource and
// property reference", and "Intrinsic function reference" of CloudFormation.
package sam

import (
	"fmt"
	"io"
	"io/fs"
	"slices"
)

// Options are what the caller knows and a template does not say.
type Options struct {
	// Values are given to parameters by name, and to pseudo parameters such as
	// AWS::Region. They go before a parameter's Default.
	Values map[string]string
}

// TemplateError is a template that cannot be read at all.
type TemplateError struct {
	File    string
	Line    int    // 0 when no line is to blame
	What    string // what is wrong
	Instead string // what to do next
}

// Error says where, what, and what to do.
func (e *TemplateError) Error() string {
	where := e.File
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	if e.Instead == "" {
		return where + ": " + e.What
	}
	return where + ": " + e.What + "; " + e.Instead
}

// Read reads a template. Every leaf of it is in the Project or under a key of its
// Lost. An error is always a *TemplateError. Time and memory are bounded, whatever
// the text.
func Read(src []byte, file string, o Options) (*Project, error) {
	r, err := read(src, file, o)
	if err != nil {
		return nil, err
	}
	return r.project, nil
}

// ReadFS reads the template of that name in a tree of files, see Read.
func ReadFS(tree fs.FS, name string, o Options) (*Project, error) {
	f, err := tree.Open(name)
	if err != nil {
		return nil, &TemplateError{File: name, What: err.Error(), Instead: "name a template of the tree"}
	}
	defer func() { _ = f.Close() }() // it was read only
	src, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, &TemplateError{File: name, What: err.Error()}
	}
	return Read(src, name, o)
}

// read keeps the reader, whose tree the tests look at.
func read(src []byte, file string, o Options) (*reader, error) {
	root, err := parse(src, file)
	if err != nil {
		return nil, err
	}
	if root.field("Resources") == nil || root.field("Resources").kind != table {
		return nil, &TemplateError{file, root.line, "there are no Resources: this is no SAM or CloudFormation template", "name the template, often template.yaml"}
	}
	r := newReader(root, file, o)
	r.template()
	if r.err != nil {
		return nil, r.err
	}
	slices.SortStableFunc(r.project.Lost, func(a, b Lost) int { return a.Line - b.Line })
	return r, nil
}

func newReader(root *value, file string, o Options) *reader {
	return &reader{
		file: file, root: root, values: o.Values, project: &Project{File: file},
		resources: map[string]*value{}, verdicts: map[string]*verdict{}, noted: map[string]bool{},
		left: maxSteps, places: map[string]int{},
	}
}

// template reads the parts in the order in which they decide each other.
func (r *reader) template() {
	p := r.project
	p.Description = r.text(r.root.field("Description"))
	r.root.field("AWSTemplateFormatVersion").take()
	r.transform(r.root.field("Transform"))
	r.parameters()
	for _, f := range r.root.field("Resources").fields {
		if r.wanted(f.value) {
			r.resources[f.name] = f.value
		}
	}
	for _, f := range r.root.field("Resources").fields {
		if v := r.resources[f.name]; v != nil {
			r.resource(f.name, v)
		}
	}
	r.packaged()
	r.alarms()
	r.sweep(r.root)
}

// transform takes the Transform that makes a template one of SAM.
func (r *reader) transform(v *value) {
	names := []*value{v}
	if v != nil && v.kind == list {
		names = v.items
	}
	for _, n := range names {
		if n != nil && n.kind == scalar && n.text == "AWS::Serverless-2016-10-31" {
			n.take()
			r.project.SAM = true
		}
	}
}

// wanted says whether a resource exists with the values that are known.
func (r *reader) wanted(v *value) bool {
	c := v.field("Condition")
	if c == nil || c.kind != scalar {
		return true
	}
	switch r.decide(c.take().text, c.line) {
	case no:
		r.lose(v, "its condition "+c.text+" is false with these values", "give other parameter values to read it")
		return false
	case undecided:
		r.note(c, "the condition "+c.text+" cannot be decided here: the resource is kept", "give values to the parameters it asks for")
	default:
	}
	return true
}
