package serverless

import (
	"errors"
	"io/fs"
	"path"
	"strings"
)

// Defaults of the framework (Serverless Framework documentation, "Serverless.yml
// Reference").
const (
	defaultRegion  = "us-east-1"
	defaultMemory  = 1024
	defaultTimeout = 6
)

// names are the files that the framework looks for, in its order.
var names = [...]string{"serverless.yml", "serverless.yaml", "serverless.json"}

// Read reads the project of a tree. Its error is an *Error with the place when the
// files cannot be read at all: what can be read but not carried is in Project.Lost.
// The same files and options give the same project.
func Read(tree fs.FS, opts Options) (*Project, error) {
	name, src, err := find(tree, opts.File)
	if err != nil {
		return nil, err
	}
	r := &resolver{tree: tree, dir: path.Dir(name), opts: opts, files: map[string]*node{}}
	if len(opts.State) > 0 {
		r.root, err = r.stated(opts.State, src, name)
	} else {
		r.root, err = r.parse(src, name)
	}
	if err != nil {
		return nil, err
	}
	if r.root.kind != table {
		return nil, &Error{File: name, Line: r.root.Line, Why: "the file is not a mapping of keys", Hint: "begin it with service: NAME"}
	}
	r.files[name] = r.root
	if err := r.all(r.root); err != nil {
		return nil, err
	}
	p, err := newReader(r).project()
	if err != nil {
		return nil, err
	}
	p.Lost = r.leftovers()
	return p, nil
}

func find(tree fs.FS, name string) (string, []byte, error) {
	candidates := names[:]
	if name != "" {
		candidates = []string{path.Clean(name)}
	}
	for _, c := range candidates {
		src, err := readFile(tree, c)
		if err == nil {
			return c, src, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", nil, fileError(err, &node{At: At{File: c}})
		}
	}
	return "", nil, &Error{File: candidates[0], Why: "there is no Serverless Framework configuration", Hint: "name the folder that holds " + strings.Join(names[:], ", ")}
}

// reader makes the project of a resolved tree.
type reader struct {
	r         *resolver
	root      *node
	p         *Project
	resources map[string]*node // by logical ID
	order     []*node          // the same, as written
	functions []*node
	err       error
}

// charge counts what one function gets of the settings for all, so that many functions
// times many settings end in an error. It tells whether reading may go on.
func (d *reader) charge(n *node, made int) bool {
	if d.err == nil {
		d.err = d.r.spend(n.At, made, 0)
	}
	return d.err == nil
}

func newReader(r *resolver) *reader {
	d := &reader{r: r, root: r.root, p: &Project{At: r.root.At}, resources: map[string]*node{}}
	for _, section := range sections(d.root.under("resources")) {
		if res := section.under("Resources"); res != nil {
			for _, n := range res.fields {
				d.resources[n.key] = n
				d.order = append(d.order, n)
			}
		}
	}
	return d
}

// sections are the mappings of a value that may be one or a list of them.
func sections(n *node) []*node {
	if n == nil {
		return nil
	}
	if n.kind == list {
		return n.items
	}
	return []*node{n}
}

func (d *reader) project() (*Project, error) {
	root, p := d.root, d.p
	if s := root.under("service"); s != nil && s.kind == table {
		p.Service = s.under("name").str()
	} else {
		p.Service = s.str()
	}
	p.FrameworkVersion = root.under("frameworkVersion").str()
	plugins := root.under("plugins")
	if plugins != nil && plugins.kind == table {
		plugins = plugins.under("modules")
	}
	p.Plugins = plugins.strs()
	p.Package = packaging(root.under("package"))
	if err := d.provider(root.under("provider")); err != nil {
		return nil, err
	}
	for _, n := range d.order {
		d.resource(n)
	}
	for _, section := range sections(root.under("layers")) {
		for _, n := range section.fields {
			p.Layers = append(p.Layers, Layer{At: n.At, Key: n.key, Name: n.under("name").str(), Path: n.under("path").str(), Artifact: n.under("package", "artifact").str(), Runtimes: n.under("compatibleRuntimes").strs()})
		}
	}
	for _, section := range sections(root.under("functions")) {
		d.functions = append(d.functions, section.fields...)
	}
	seen := map[string]bool{}
	for _, n := range d.functions {
		if seen[n.key] {
			return nil, &Error{File: n.File, Line: n.Line, Why: "the function " + n.key + " stands twice", Hint: "rename one of the two"}
		}
		seen[n.key] = true
	}
	for _, n := range d.functions {
		if n.kind == table {
			p.Functions = append(p.Functions, d.function(n))
		}
		if d.err != nil {
			return nil, d.err
		}
	}
	d.linkAlarms()
	return p, nil
}

func (d *reader) provider(n *node) error {
	p := &d.p.Provider
	p.Stage, p.Region = "dev", defaultRegion
	if n != nil {
		p.At = n.At
	} else {
		p.At = d.root.At
	}
	if n != nil && n.kind == scalar {
		p.Name = n.str() // provider: aws
	} else {
		p.Name = n.under("name").str()
	}
	stage, err := d.r.stage()
	if err != nil {
		return err
	}
	p.Stage = stage
	// With --stage or --region the file's own value decides nothing.
	if n.under("stage").str(); n.under("stage") != nil && n.under("stage").unknown {
		p.Stage = n.under("stage").text
	}
	if region := n.under("region").str(); region != "" {
		p.Region = region
	}
	if region, ok := d.r.opts.Options["region"]; ok {
		p.Region = region
	}
	if h := n.under("httpApi"); h != nil && h.kind == table {
		p.HTTPAPI = &HTTPAPI{At: h.At, Payload: h.under("payload").str(), CORS: cors(h.under("cors"))}
		if a := h.under("authorizers"); a != nil {
			for _, f := range a.fields {
				auth := d.authorizer(f)
				auth.Name = f.key
				p.HTTPAPI.Authorizers = append(p.HTTPAPI.Authorizers, *auth)
			}
		}
	}
	return nil
}

func packaging(n *node) *Package {
	if n == nil || n.kind != table {
		return nil
	}
	p := &Package{At: n.At, Artifact: n.under("artifact").str(), Patterns: n.under("patterns").strs()}
	if yes := n.under("individually").truth(); yes != nil {
		p.Individually = *yes
	}
	p.Patterns = append(p.Patterns, n.under("include").strs()...) // of version 1 and 2
	for _, e := range n.under("exclude").strs() {
		p.Patterns = append(p.Patterns, "!"+e)
	}
	return p
}
