package manifest

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"titrate/internal/rollout"

	"go.yaml.in/yaml/v4"
)

// buildRules reports keys of a build that do not go together.
func (r *reader) buildRules(b Build, l layer, at string) {
	fault := func(key, message, hint string) {
		r.fault(l[key].key, Problem{Code: codeBuild, Path: join(at, key), Message: message, Hint: hint})
	}
	switch {
	case b.Command != "" && b.With != "":
		fault("with", "a command builds in its own way, and with names another", "keep one of them")
	case b.Command != "" && b.Output == "":
		fault("command", "the command's output is not named", "add output: the file or folder that it leaves")
	case b.Command == "" && b.Fetch != "":
		fault("fetch", "fetch gets what a command needs, and there is none", "add command, or remove fetch: each language fetches by itself")
	case b.Command == "" && b.Run != "":
		fault("run", "run starts what a command has left, and there is none", "write run beside build: each language is built by its own tools")
	case b.Fallback != "" && b.Command != "":
		fault("fallback", "fallback belongs to a static site, which Titrate serves itself", "keep one of fallback and command")
	}
}

// buildKind is a folder, or a mapping.
func buildKind() kind {
	return kind{
		accepts: "a folder, or { dir, with, dockerfile, command, output, run }",
		schema:  map[string]any{"anyOf": []any{map[string]any{"type": "string", "minLength": 1}, map[string]any{"$ref": "#/definitions/build"}}},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			if n.Kind != yaml.MappingNode {
				s, ok := repoPath().read(r, n, at)
				if !ok {
					return nil, false
				}
				return Build{Dir: s.(string)}, true
			}
			before := len(r.problems)
			l := r.table(n, at, inBuild) // without dir: a service's is the root, a function's its own folder
			b := Build{
				Dir: pick("", "dir", l), With: pick("", "with", l), Fetch: pick("", "fetch", l), Command: pick("", "command", l), Test: pick("", "test", l),
				Network: pick(false, "network", l), Output: pick("", "output", l), Run: pick("", "run", l), Fallback: pick("", "fallback", l),
				Dockerfile: pick("", "dockerfile", l), Target: pick("", "target", l), Args: pick(map[string]string(nil), "args", l),
			}
			if len(r.problems) == before {
				r.buildRules(b, l, at)
			}
			if len(r.problems) == before {
				r.dockerRules(b, l)
			}
			return b, len(r.problems) == before
		},
	}
}

// repoPath is a path in the repository, cleaned.
func repoPath() kind {
	k := text(codePath, "a path in the repository", map[string]any{"minLength": 1}, checkRepoPath)
	read := k.read
	k.read = func(r *reader, n *yaml.Node, at string) (any, bool) {
		v, ok := read(r, n, at)
		if !ok {
			return nil, false
		}
		return path.Clean(v.(string)), true
	}
	return k
}

// hooksKind is the commands of a service by their moment.
func hooksKind() kind {
	return kind{
		accepts: "moments with commands: { preTraffic: ./smoke }", null: true,
		schema: map[string]any{"anyOf": []any{map[string]any{"$ref": "#/definitions/hooks"}, map[string]any{"type": "null"}}},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			if n.Kind == yaml.MappingNode {
				r.twoSpellings(n, at)
			}
			return r.table(n, at, inHooks), true
		},
	}
}

// twoSpellings reports a hook that stands under its name and under its alias.
func (r *reader) twoSpellings(n *yaml.Node, at string) {
	first := map[string]string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		for _, k := range r.keys {
			if k.Places&inHooks == 0 || k.Name != key.Value && !slices.Contains(k.Aliases, key.Value) {
				continue
			}
			if other, ok := first[k.Name]; ok && other != key.Value {
				r.fault(key, Problem{Code: codeDuplicate, Path: join(at, key.Value), Message: fmt.Sprintf("%s and %s are the same hook", other, key.Value), Hint: "keep one"})
			}
			first[k.Name] = key.Value
		}
	}
}

// scaleKind is a number of instances; ranges and targets come later.
func scaleKind() kind {
	const most = 100
	k := number(most)
	read := k.read
	k.read = func(r *reader, n *yaml.Node, at string) (any, bool) {
		instead := "write how many instances to run: scale: 2"
		if n.Kind == yaml.MappingNode {
			r.later(n, at, place(at)+": scaling by load", instead)
			return nil, false
		}
		if n.Tag == "!!str" && strings.Contains(n.Value, "..") {
			r.later(n, at, place(at)+": a range of instances", instead)
			return nil, false
		}
		return read(r, n, at)
	}
	return k
}

// deployKind is a branch, or manual.
func deployKind() kind {
	accepts := "a branch, or manual"
	return kind{
		accepts: accepts,
		schema:  map[string]any{"type": "string", "minLength": 1, "not": map[string]any{"pattern": `^(pull_request$|tag\s)`}},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			s, ok := r.text(n, at, accepts)
			if !ok {
				return nil, false
			}
			switch {
			case s == "manual":
				return Deploy{Manual: true}, true
			case s == "pull_request" || s == "tag" || strings.HasPrefix(s, "tag "):
				r.later(n, at, "deploying on "+short(s), "write a branch, or manual")
				return nil, false
			}
			err := checkBranch(s)
			if s == "" {
				err = errors.New("a branch has a name")
			}
			if err != nil {
				r.fault(n, Problem{Code: codeName, Path: at, Message: quote(s) + " cannot be a branch", Hint: err.Error()})
				return nil, false
			}
			return Deploy{Branch: s}, true
		},
	}
}

// groups is what together says: names with where they stand, or all.
type groups struct {
	all    *yaml.Node
	groups [][]member
}

type member struct {
	name string
	node *yaml.Node
	path string
}

// togetherKind is a list of services, a list of such lists, or all.
func togetherKind() kind {
	accepts := "a list of services and functions, a list of such lists, or all"
	list := map[string]any{"type": "array", "minItems": 2, "uniqueItems": true, "items": map[string]any{"type": "string"}}
	return kind{
		accepts: accepts,
		schema:  map[string]any{"anyOf": []any{map[string]any{"const": "all"}, list, map[string]any{"type": "array", "minItems": 1, "items": list}}},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			if n.Kind == yaml.ScalarNode && n.Value == "all" {
				return groups{all: n}, true
			}
			if n.Kind != yaml.SequenceNode {
				r.wrongType(n, at, accepts)
				return nil, false
			}
			if len(n.Content) == 0 {
				r.fault(n, Problem{Code: codeTogether, Path: at, Message: place(at) + " names no services", Hint: "name at least two, or remove " + place(at)})
				return nil, false
			}
			lists := n.Content
			if n.Content[0].Kind != yaml.SequenceNode {
				lists = []*yaml.Node{n}
			}
			if !r.atMost(n, at, len(n.Content), maxServices+maxFunctions) {
				return nil, false
			}
			var g groups
			for i, c := range lists {
				path := at
				if c != n {
					path = item(at, i)
				}
				if one, ok := r.group(c, path); ok {
					g.groups = append(g.groups, one)
				}
			}
			return g, true
		},
	}
}

func (r *reader) group(n *yaml.Node, at string) ([]member, bool) {
	if n.Kind != yaml.SequenceNode {
		r.wrongType(n, at, "a list of services")
		return nil, false
	}
	if !r.atMost(n, at, len(n.Content), maxServices+maxFunctions) {
		return nil, false
	}
	var out []member
	for i, c := range n.Content {
		if s, ok := r.text(c, item(at, i), "the name of a service"); ok {
			out = append(out, member{s, c, item(at, i)})
		}
	}
	if len(n.Content) < 2 {
		r.fault(n, Problem{Code: codeTogether, Path: at, Message: place(at) + " needs at least two services", Hint: "one service alone moves by itself"})
		return nil, false
	}
	return out, true
}

// formatKind is the marker and version of the format.
func formatKind() kind {
	return kind{
		accepts: "1, the version of this format",
		schema:  map[string]any{"const": 1},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			if n.Tag != "!!int" || n.Value != "1" {
				r.fault(n, Problem{Code: codeFormat, Path: at, Message: "titrate is " + describe(n), Hint: "this version reads titrate: 1"})
				return nil, false
			}
			return 1, true
		},
	}
}

// section is one service or environment as the file has it.
type section struct {
	pair
	says layer
}

// sections is a mapping of names to tables at place in.
func sections(accepts, definition string, in Place, most int) kind {
	return kind{
		accepts: accepts, null: true,
		schema: map[string]any{
			"type": []string{"object", "null"}, "maxProperties": most,
			"propertyNames":        map[string]any{"pattern": namePattern.String(), "maxLength": maxName},
			"additionalProperties": map[string]any{"anyOf": []any{map[string]any{"$ref": "#/definitions/" + definition}, map[string]any{"type": "null"}}},
		},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			var out []section
			few := r.atMost(n, at, len(n.Content)/2, most)
			for _, p := range r.pairs(n, at, accepts) {
				r.name(p.key, p.path, p.name)
				out = append(out, section{p, r.table(p.value, p.path, in)})
			}
			return out, few
		},
	}
}

// tableKind is a mapping with the keys of place in.
func tableKind(accepts, definition string, in Place) kind {
	return kind{
		accepts: accepts, null: true,
		schema: map[string]any{"anyOf": []any{map[string]any{"$ref": "#/definitions/" + definition}, map[string]any{"type": "null"}}},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			return r.table(n, at, in), true
		},
	}
}

// command is a shell line; "none" takes an inherited one away.
func command() kind {
	return text(codeType, "a shell line", map[string]any{"minLength": 1}, checkCommand)
}

// hooksOf turns a table of hooks into the plan's.
func hooksOf(l layer) rollout.Hooks {
	return rollout.Hooks{
		Release: pick("", "release", l), PreTraffic: pick("", "preTraffic", l),
		PostTraffic: pick("", "postTraffic", l), OnRollback: pick("", "onRollback", l),
	}
}
