package manifest

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v4"
)

// BuildsDocker is the value of build.with that says: by the container engine, as a
// Dockerfile says.
const BuildsDocker = "docker"

const maxBuildArgs = 100

// argsKind is the arguments of a Dockerfile.
func argsKind() kind {
	accepts := "names with values: { NODE_VERSION: 22 }"
	scalars := map[string]any{"type": []string{"string", "number", "boolean"}}
	return kind{
		accepts: accepts, null: true,
		schema: map[string]any{
			"type": []string{"object", "null"}, "maxProperties": maxBuildArgs,
			"propertyNames": map[string]any{"pattern": variablePattern.String()}, "additionalProperties": scalars,
		},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			out := map[string]string{}
			if !r.atMost(n, at, len(n.Content)/2, maxBuildArgs) {
				return nil, false
			}
			for _, p := range r.pairs(n, at, accepts) {
				switch {
				case !variablePattern.MatchString(p.name):
					r.fault(p.key, Problem{Code: codeVariable, Path: p.path, Message: quote(p.name) + " cannot be an argument", Hint: "letters, digits and _, not beginning with a digit"})
				case p.value.Kind != yaml.ScalarNode || isNull(p.value):
					r.wrongType(p.value, p.path, `text; the empty one is ""`)
				case len(p.value.Value) > maxValue:
					r.fault(p.value, Problem{Code: codeRange, Path: p.path, Message: fmt.Sprintf("%s is longer than %d bytes", p.path, maxValue)})
				default:
					out[p.name] = p.value.Value
				}
			}
			return out, true
		},
	}
}

// dockerRules reports keys of a build that do not go with a Dockerfile.
func (r *reader) dockerRules(b Build, l layer) {
	other := ""
	switch {
	case b.Command != "":
		other = "a command builds in its own way"
	case b.With != "" && b.With != BuildsDocker:
		other = "with: " + b.With + " builds without a Dockerfile"
	}
	for _, key := range []string{"dockerfile", "target", "args"} {
		if e, ok := l[key]; ok && other != "" {
			r.fault(e.key, Problem{Code: codeDocker, Path: e.path, Message: key + " is for a Dockerfile, and " + other, Hint: "keep one of them"})
		}
	}
}

// Docker reports whether the manifest says that a Dockerfile builds it.
func (b Build) Docker() bool {
	return b.With == BuildsDocker || b.Dockerfile != "" || b.Target != "" || len(b.Args) > 0
}

// writeArgs is the arguments as the manifest has them.
func writeArgs(args map[string]string) string {
	if len(args) == 0 {
		return ""
	}
	var fields []field
	for _, name := range slices.Sorted(maps.Keys(args)) {
		fields = append(fields, field{scalar(name), scalar(args[name])})
	}
	return flow(fields...)
}

// checkStage says what is wrong with the name of a stage. A number counts stages.
func checkStage(s string) error {
	if !stageName.MatchString(s) {
		return errors.New("a stage is named by letters, digits, _, . and -: FROM node AS build")
	}
	return nil
}

var stageName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)
