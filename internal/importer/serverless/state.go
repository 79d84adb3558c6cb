package serverless

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// generated are keys that the framework itself puts into the state of a service, by the
// place where they stand: what it compiled, or has only for its own run.
var generated = map[string][]string{
	"":         {"serviceObject", "pluginsData", "configValidationMode", "serviceFilename", "initialServerlessConfig", "artifact", "isDashboardMonitoringPreconfigured"},
	"provider": {"compiledCloudFormationTemplate", "coreCloudFormationTemplate", "deploymentBucketObject", "versionFunctions"},
	"function": {"versionLogicalId", "memory", "targetGroupProperties"},
	"event":    {"resolvedMethod", "resolvedPath"},
}

// stated is the service as the framework has resolved it ("service" of the
// serverless-state.json that its package command leaves), as if it had been written in
// the configuration, which is a program. Where something stands is a line of the program
// that names it, or the line of what it is under.
func (r *resolver) stated(state, program []byte, name string) (*node, error) {
	all, err := r.parse(state, stateName)
	if err != nil {
		return nil, err
	}
	service := all.under("service")
	if service == nil || service.kind != table {
		return nil, &Error{File: stateName, Line: 1, Why: "it holds no service", Hint: "titrate import --no-package FILE"}
	}
	c := shared{r: r, all: all, service: service}
	root := c.copy(service, nil, "", 0)
	for _, f := range service.under("initialServerlessConfig").children() {
		if root.under(f.key) == nil && f.under("$ref") == nil { // the rest stands in the service itself
			root.add(c.copy(f, root, f.key, 0))
		}
	}
	if c.err != nil {
		return nil, c.err
	}
	for _, f := range root.under("functions").children() {
		f.without("function")
		f.under("package").drop(packed)
		f.drop(func(n *node) bool { return (n.key == "package" || n.key == "vpc") && bare(n) })
		for _, e := range f.under("events").children() {
			e.without("event")
			for _, kind := range e.fields {
				kind.drop(func(n *node) bool { return n.key == "integration" && strings.EqualFold(n.text, "AWS_PROXY") })
			}
		}
	}
	root.under("package").drop(packed)
	root.under("provider").drop(bare)
	root.under("resources").drop(bare)
	root.drop(bare)
	root.place(linesOf(name, program), 1)
	return root, nil
}

const stateName = "serverless-state.json"

// packed is what the framework's own packing leaves in package.
func packed(n *node) bool {
	return n.key == "artifact" && path.Base(path.Dir(n.text)) == ".serverless" || n.key == "artifactsS3KeyDirname" || n.key == "artifactDirectoryName"
}

// shared copies values of a state, in which one that stands in several places is written
// once, and named elsewhere: {"$ref": "$[\"service\"][\"custom\"]"}.
type shared struct {
	r            *resolver
	all, service *node
	err          error
}

var step = regexp.MustCompile(`^\[(?:"((?:[^"\\]|\\.)*)"|(\d{1,9}))\]`)

// find follows the name of a value.
func (c *shared) find(name string) *node {
	at, rest := c.all, strings.TrimPrefix(name, "$")
	for rest != "" && at != nil {
		if c.err = c.r.spend(c.service.At, 1, 0); c.err != nil {
			return nil
		}
		m := step.FindStringSubmatch(rest)
		if m == nil {
			return nil
		}
		key, rest1 := m[1], rest[len(m[0]):]
		if rest = rest1; m[2] == "" {
			if text, err := strconv.Unquote(`"` + key + `"`); err == nil {
				key = text
			}
			at = at.under(key)
			continue
		}
		i, err := strconv.Atoi(m[2])
		if err != nil || i >= len(at.items) {
			return nil
		}
		at = at.items[i]
	}
	return at
}

func (c *shared) copy(n, parent *node, key string, depth int) *node {
	out := &node{At: n.At, parent: parent, key: key, kind: n.kind, text: n.text, bare: n.bare}
	if c.err == nil {
		c.err = c.r.spend(n.At, 1, 0)
	}
	if depth > maxDepth && c.err == nil {
		c.err = &Error{File: stateName, Line: n.Line, Why: fmt.Sprintf("nested deeper than %d levels", maxDepth), Hint: "make it flatter"}
	}
	if c.err != nil {
		return out
	}
	if name := n.under("$ref"); name != nil && len(n.fields) == 1 && strings.HasPrefix(name.text, "$") {
		if of := c.find(name.text); of != nil {
			return c.copy(of, parent, key, depth+1)
		}
	}
	for _, f := range n.fields {
		if n == c.service && slices.Contains(generated[""], f.key) || n == c.service.under("provider") && slices.Contains(generated["provider"], f.key) {
			continue
		}
		out.fields = append(out.fields, c.copy(f, out, f.key, depth+1))
	}
	for _, item := range n.items {
		out.items = append(out.items, c.copy(item, out, item.key, depth+1))
	}
	return out
}

// bare is of a table or list that holds nothing.
func bare(n *node) bool { return n.kind != scalar && len(n.fields)+len(n.items) == 0 }

func (n *node) children() []*node {
	if n == nil {
		return nil
	}
	return append(slices.Clone(n.fields), n.items...)
}

func (n *node) add(f *node) {
	f.parent = n
	n.fields, n.index = append(n.fields, f), nil
}

// drop takes out fields.
func (n *node) drop(these func(*node) bool) {
	if n != nil {
		n.fields, n.index = slices.DeleteFunc(n.fields, these), nil
	}
}

func (n *node) without(place string) {
	n.drop(func(f *node) bool { return slices.Contains(generated[place], f.key) })
}

// programLines are those of a program, by the keys that they name.
type programLines struct {
	file string
	at   map[string][]int

	value map[string]string // of variables that the program takes from the account or the shell
}

// outside is a variable whose value is none of the program's own.
var outside = regexp.MustCompile("([A-Za-z_][A-Za-z0-9_]*)['\"`]?[ \\t]*:[ \\t]*(?:['\"`](\\$\\{(?:env|ssm|secretsmanager|aws:reference/secretsmanager):[^}]*\\})['\"`]|process\\.env\\.([A-Za-z_][A-Za-z0-9_]*)[!]?[ \\t]*[,}\\r\\n])")

var named = regexp.MustCompile("([A-Za-z0-9_$.:/-]*[A-Za-z0-9_$])['\"`]?\\]?[ \\t]*:")

func linesOf(file string, text []byte) programLines {
	l := programLines{file, map[string][]int{}, map[string]string{}}
	line := 0
	for one := range bytes.Lines(text) {
		line++
		for _, m := range named.FindAllSubmatch(one, -1) {
			key := string(m[1])
			l.at[key] = append(l.at[key], line)
		}
		for _, m := range outside.FindAllSubmatch(one, -1) {
			value := string(m[2])
			if len(m[3]) > 0 {
				value = "${env:" + string(m[3]) + "}"
			}
			l.value[string(m[1])] = value
		}
	}
	return l
}

// after is the first line from one on that names a key; 0: none does.
func (l programLines) after(key string, from int) int {
	all := l.at[key]
	if i := sort.SearchInts(all, from); i < len(all) {
		return all[i]
	}
	return 0
}

// place gives a value, and all under it, a line of the program.
func (n *node) place(l programLines, line int) {
	n.At = At{l.file, line}
	if v, ok := l.value[n.key]; ok && n.kind == scalar && n.parent != nil && n.parent.key == "environment" {
		n.text, n.bare = v, false // as a configuration of YAML has it: values of secrets are not copied
	}
	before := line
	for _, f := range n.children() {
		at := line
		if !strings.HasPrefix(f.key, "[") {
			if at = l.after(f.key, before); at == 0 {
				at = l.after(f.key, line)
			}
			if at == 0 {
				at = line
			}
			before = max(before, at)
		}
		f.place(l, at)
	}
}
