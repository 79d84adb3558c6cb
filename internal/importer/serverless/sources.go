package serverless

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// source finds what one variable source says (Serverless Framework documentation,
// "Variables").
func (r *resolver) source(s source, at *node) (*node, found, reason, error) {
	switch s.name {
	case "":
		return s.literal, known, reason{}, nil
	case "self":
		v, err := r.self(s.address)
		return said(v, err, reason{why: fmt.Sprintf("nothing stands at %.80q", s.address), instead: "write the value there, or give the variable a fallback"})
	case "opt":
		if v, ok := r.opts.Options[s.address]; ok {
			return text(v), known, reason{}, nil
		}
		return nil, missing, reason{why: "the option --" + s.address + " was not given", instead: "give the option, or a fallback"}, nil
	case "env":
		if v, ok := r.opts.Env[s.address]; ok {
			return text(v), known, reason{}, nil
		}
		return nil, missing, reason{why: "the environment variable " + s.address + " was not given", instead: "give its value", told: true}, nil
	case "sls":
		if s.address == "stage" {
			stage, err := r.stage()
			return text(stage), known, reason{}, err
		}
		return nil, unknown, reason{why: "only a running deployment knows it", instead: "write the value out"}, nil
	case "param":
		v, err := r.param(s.address)
		return said(v, err, reason{why: "the parameter " + s.address + " has no value", instead: "give the parameter, or a fallback"})
	case "file":
		return r.file(s, at)
	case "strToBool":
		switch strings.ToLower(strings.Trim(s.arg, `'"`)) {
		case "true", "1":
			return &node{text: "true", bare: true}, known, reason{}, nil
		case "false", "0", "", "null", "undefined":
			return &node{text: "false", bare: true}, known, reason{}, nil
		}
		return nil, unknown, reason{why: fmt.Sprintf("%.40q is neither true nor false", s.arg), instead: "write true or false"}, nil
	case "ssm", "cf", "s3", "aws", "vault", "terraform", "output", "doppler", "git":
		return nil, unknown, reason{why: "its value is kept outside of the project", instead: "make it a secret or a variable of the app, and name it there"}, nil
	}
	return nil, unknown, reason{why: "the source " + s.name + " is a plugin's or not known", instead: "write the value out"}, nil
}

func said(v *node, err error, why reason) (*node, found, reason, error) {
	if errors.Is(err, errUnknown) {
		return nil, unknown, reason{why: "what it looks into is not known here", instead: "give that value first"}, nil
	}
	if err != nil || v == nil {
		return nil, missing, why, err
	}
	return v, known, reason{}, nil
}

func text(s string) *node { return &node{text: s} }

// stage is --stage, or what the provider says, or dev.
func (r *resolver) stage() (string, error) {
	if s, ok := r.opts.Options["stage"]; ok {
		return s, nil
	}
	n, err := r.walk(r.root, []string{"provider", "stage"})
	if errors.Is(err, errUnknown) {
		return "dev", nil // that the provider is not known is listed
	}
	if err != nil || n == nil || n.kind != scalar || n.null() || n.unknown {
		return "dev", err
	}
	return n.text, nil
}

// self finds a value of the service's own file.
func (r *resolver) self(address string) (*node, error) {
	keys := keysOf(address)
	v, err := r.walk(r.root, keys)
	if err != nil {
		return nil, err
	}
	switch {
	case address == "service" && v != nil && v.kind == table: // as version 1 wrote it
		return v.under("name"), nil
	case v == nil && address == "provider.stage":
		stage, err := r.stage()
		return text(stage), err
	case v == nil && address == "provider.region":
		if region, ok := r.opts.Options["region"]; ok {
			return text(region), nil
		}
		return text(defaultRegion), nil
	case v == nil && address == "service.name":
		return r.walk(r.root, []string{"service"})
	}
	return v, nil
}

// param finds a parameter: the caller's, the stage's, the default's.
func (r *resolver) param(name string) (*node, error) {
	if v, ok := r.opts.Params[name]; ok {
		return text(v), nil
	}
	stage, err := r.stage()
	if err != nil {
		return nil, err
	}
	for _, keys := range [][]string{{"params", stage, name}, {"stages", stage, "params", name}, {"params", "default", name}, {"stages", "default", "params", name}} {
		if v, err := r.walk(r.root, keys); v != nil || err != nil {
			return v, err
		}
	}
	return nil, nil
}

func keysOf(address string) []string {
	if address == "" {
		return nil
	}
	return strings.Split(address, ".")
}

// errUnknown is that a value on the way is one that nobody can tell here.
var errUnknown = errors.New("a value on the way is not known")

// walk goes down from a value by its keys, resolving on the way only what it passes,
// and at the end all that it found.
func (r *resolver) walk(n *node, keys []string) (*node, error) {
	for _, key := range keys {
		if err := r.one(n); err != nil {
			return nil, err
		}
		if n.unknown {
			return nil, errUnknown
		}
		next := n.under(key)
		if i, err := strconv.Atoi(key); next == nil && err == nil && i >= 0 && i < len(n.items) {
			next = n.items[i]
		}
		if next == nil {
			return nil, nil
		}
		n = next
	}
	if r.depth++; r.depth > maxDepth {
		return nil, &Error{File: n.File, Line: n.Line, Why: "a chain of variables is too long or goes in a circle", Hint: "give one of them a plain value"}
	}
	defer func() { r.depth-- }()
	return n, r.all(n)
}

// file reads a file of the project, or a value within it.
func (r *resolver) file(s source, at *node) (*node, found, reason, error) {
	name := strings.Trim(s.arg, `'"`)
	full := path.Join(r.dir, name)
	if name == "" || strings.HasPrefix(name, "/") || strings.HasPrefix(name, "~") || !fs.ValidPath(full) {
		return nil, unknown, reason{why: "the file is outside of the project", instead: "copy it into the project"}, nil
	}
	ext := path.Ext(name)
	switch ext {
	case ".js", ".cjs", ".mjs", ".ts", ".mts", ".cts":
		return nil, unknown, reason{why: "the file is a program, which is not run here", instead: "write its result as YAML or JSON"}, nil
	}
	root, ok := r.files[full]
	if !ok {
		src, err := readFile(r.tree, full)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, missing, reason{why: "the file " + name + " is missing", instead: "import again where it is, or write the value out"}, nil
		}
		if err == nil && len(r.files) >= maxFiles {
			err = &Error{File: at.File, Line: at.Line, Why: fmt.Sprintf("more than %d files are read", maxFiles), Hint: "put them together"}
		}
		if err == nil {
			root, err = r.parseAs(src, full, ext)
		}
		if err != nil {
			return nil, missing, reason{}, fileError(err, at)
		}
		r.files[full] = root
	}
	v, err := r.walk(root, keysOf(s.address))
	return said(v, err, reason{why: fmt.Sprintf("%s has nothing at %.80q", name, s.address), instead: "write the value there"})
}

func (r *resolver) parseAs(src []byte, name, ext string) (*node, error) {
	switch ext {
	case ".yml", ".yaml", ".json", ".tfstate":
		return r.parse(src, name)
	}
	n := &node{At: At{name, 1}, text: strings.TrimSpace(string(src)), resolved: true}
	return n, r.spend(n.At, 1, len(src))
}

// fileError says where a file that cannot be read was named.
func fileError(err error, at *node) error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{File: at.File, Line: at.Line, Why: err.Error(), Hint: "make the file readable"}
}
