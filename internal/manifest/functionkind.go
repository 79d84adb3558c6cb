package manifest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"titrate/internal/rollout"

	"go.yaml.in/yaml/v4"
)

// Limits of functions. Times and memory are those of Lambda ("Lambda quotas").
const (
	maxFunctions        = 500
	maxPatterns         = 2 * maxFunctions // of all keys of a section
	maxScopes           = 20               // keys that speak of one function
	maxFunctionName     = 60               // a label of a host name has 63; a preview address that does not fit is reached by header
	maxInstances        = 1000
	leastFunctionMemory = 128 * megabyte
	mostFunctionMemory  = 10 * gigabyte
)

// functionSections is a mapping of folders, patterns or names to tables at place in.
func functionSections(accepts, definition string, in Place) kind {
	return kind{
		accepts: accepts, null: true,
		schema: map[string]any{
			"type": []string{"object", "null"}, "maxProperties": maxFunctions,
			"additionalProperties": map[string]any{"anyOf": []any{map[string]any{"$ref": "#/definitions/" + definition}, map[string]any{"type": "null"}}},
		},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			var out []scope
			patterns := 0
			few := r.atMost(n, at, len(n.Content)/2, maxFunctions)
			for _, p := range r.pairs(n, at, accepts) {
				s := scope{section: section{p, r.table(p.value, p.path, in)}}
				var err error
				if patterns > maxPatterns {
					continue // told below
				}
				if s.patterns, err = parsePatterns(p.name); err != nil {
					r.fault(p.key, Problem{Code: codeFunctionKey, Path: p.path, Message: quote(p.name) + " names no function", Hint: err.Error()})
				}
				out = append(out, s)
				patterns += len(s.patterns)
			}
			if patterns > maxPatterns {
				r.fault(n, Problem{Code: codeRange, Path: at, Message: fmt.Sprintf("%s has more than %d patterns, each name in braces counted", place(at), maxPatterns)})
				return nil, false
			}
			return out, few
		},
	}
}

// scope is what stands under one key of functions, and which functions it is for.
type scope struct {
	section
	patterns []pattern // none: the key could not be read
}

// matching returns the pattern of the scope that a folder of these parts matches.
func (s scope) matching(folder string, parts []string) (pattern, bool) {
	for _, p := range s.patterns {
		if p.match(folder, parts) {
			return p, true
		}
	}
	return pattern{}, false
}

// runtimePattern are the names that AWS gives runtimes ("Lambda runtimes") as far as
// they are run here, with and without their endings.
var runtimePattern = regexp.MustCompile(`^(go|go1\.x|provided|provided\.al2|provided\.al2023|node(js)?([0-9]{1,4}(\.[0-9]{1,4})?(\.x)?)?|python(3(\.[0-9]{1,4})?)?)$`)

func checkRuntime(s string) error {
	if runtimePattern.MatchString(s) {
		return nil
	}
	known := []string{"nodejs22", "python3.12", "provided.al2023", "go"}
	if n := nearest(s, known); n != "" {
		return fmt.Errorf("did you mean %q?", n)
	}
	return fmt.Errorf("what is run is Node.js, Python and programs that speak the Runtime API: %s", strings.Join(known, ", "))
}

func checkHandler(s string) error {
	switch {
	case s == "" || len(s) > 128:
		return fmt.Errorf("a file and what it exports: index.handler, at most 128 characters")
	case strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f }):
		return fmt.Errorf("a handler has no spaces: index.handler")
	}
	return nil
}

// functionMemory is the memory of an instance.
func functionMemory() kind {
	accepts := fmt.Sprintf("an amount of memory from %s to %s", FormatMemory(leastFunctionMemory), FormatMemory(mostFunctionMemory))
	read := memoryKind().read
	return kind{
		accepts: accepts,
		schema:  map[string]any{"type": "string", "pattern": `^[0-9]+(\.[0-9]+)?[MG]i?B$`},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			v, ok := read(r, n, at)
			if !ok {
				return nil, false
			}
			if m := v.(int64); m < leastFunctionMemory || m > mostFunctionMemory {
				r.fault(n, Problem{Code: codeLimit, Path: at, Message: fmt.Sprintf("%s is %s", place(at), short(n.Value)), Hint: "expected " + accepts})
				return nil, false
			}
			return v, true
		},
	}
}

// defaultScale is how many instances a function has that nothing was said about.
const defaultMax = 10

// functionScaleKind is { min, max }, MIN..MAX, or the most alone.
func functionScaleKind() kind {
	accepts := "{ min, max }, such as { min: 0, max: 50 }; MIN..MAX; or the most alone: 50"
	return kind{
		accepts: accepts,
		schema: map[string]any{"anyOf": []any{
			map[string]any{"type": "integer", "minimum": 1, "maximum": maxInstances},
			map[string]any{"type": "string", "pattern": rangePattern.String()},
			map[string]any{"$ref": "#/definitions/scale"},
		}},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			if n.Kind == yaml.MappingNode {
				before := len(r.problems)
				l := r.table(n, at, inScale)
				if len(r.problems) > before {
					return nil, false
				}
				least := pick(0, "min", l)
				return r.scale(n, at, least, pick(max(defaultMax, least), "max", l))
			}
			if m := rangePattern.FindStringSubmatch(n.Value); n.Kind == yaml.ScalarNode && n.Tag == "!!str" && m != nil {
				least, err1 := strconv.Atoi(m[1])
				most, err2 := strconv.Atoi(m[2])
				if err1 == nil && err2 == nil && most >= 1 && max(least, most) <= maxInstances {
					return r.scale(n, at, least, most)
				}
				r.fault(n, Problem{Code: codeRange, Path: at, Message: place(at) + " is " + short(n.Value), Hint: fmt.Sprintf("at least 0..1, at most %d..%d", maxInstances, maxInstances)})
				return nil, false
			}
			if n.Kind != yaml.ScalarNode || n.Tag != "!!int" {
				r.wrongType(n, at, accepts)
				return nil, false
			}
			v, ok := number(maxInstances).read(r, n, at)
			if !ok {
				return nil, false
			}
			return r.scale(n, at, 0, v.(int))
		},
	}
}

var rangePattern = regexp.MustCompile(`^([0-9]{1,6})\.\.([0-9]{1,6})$`)

func (r *reader) scale(n *yaml.Node, at string, least, most int) (any, bool) {
	if least > most {
		r.fault(n, Problem{Code: codeRange, Path: at, Message: fmt.Sprintf("%s: min is %d, above max, which is %d", place(at), least, most), Hint: "max is the larger one"})
		return nil, false
	}
	return rollout.Scale{Min: least, Max: most}, true
}

// commonScaleKind is the scale of defaults and environments: a number is the
// services', anything else the functions'. Without functions it is as services have it.
func commonScaleKind() kind {
	services, functions := scaleKind(), functionScaleKind()
	return kind{
		accepts: services.accepts + " (of services); or " + functions.accepts + " (of functions)",
		schema:  functions.schema,
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			if !r.functions || r.services && n.Kind == yaml.ScalarNode && n.Tag == "!!int" {
				return services.read(r, n, at)
			}
			return functions.read(r, n, at)
		},
	}
}

// zeroTo is a whole number from 0 to most.
func zeroTo(most int) kind {
	accepts := fmt.Sprintf("a whole number from 0 to %d", most)
	return kind{
		accepts: accepts, schema: map[string]any{"type": "integer", "minimum": 0, "maximum": most},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) { return r.number(n, at, accepts, 0, most) },
	}
}
