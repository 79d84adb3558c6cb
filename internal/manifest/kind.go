package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// kind is what values a key takes: how they are read, and the same told in words
// and as a JSON Schema.
type kind struct {
	accepts string         // "a duration: 30s, 5m, 2d"
	schema  map[string]any // draft 7
	null    bool           // a key without a value is allowed
	read    func(r *reader, n *yaml.Node, path string) (any, bool)
}

// none takes an inherited value away.
const none = "none"

// durationPattern is the schema's; [ParseDuration] is stricter.
const durationPattern = `^(0|([0-9]+d)?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))*)$`

// text is a string that check accepts.
func text(code, accepts string, schema map[string]any, check func(string) error) kind {
	schema = with(schema, "type", "string")
	return kind{accepts: accepts, schema: schema, read: func(r *reader, n *yaml.Node, path string) (any, bool) {
		s, ok := r.text(n, path, accepts)
		if !ok {
			return nil, false
		}
		if err := check(s); err != nil {
			r.fault(n, Problem{Code: code, Path: path, Message: fmt.Sprintf("%s: %s cannot be read", place(path), quote(s)), Hint: err.Error()})
			return nil, false
		}
		return s, true
	}}
}

// text returns a scalar that is text.
func (r *reader) text(n *yaml.Node, path, expected string) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		r.wrongType(n, path, expected)
		return "", false
	}
	return n.Value, true
}

// orNone lets a text kind also be "none", read as "".
func orNone(k kind) kind {
	inner := k.read
	k.accepts += ", or none"
	k.read = func(r *reader, n *yaml.Node, path string) (any, bool) {
		if n.Tag == "!!str" && n.Value == none {
			return "", true
		}
		return inner(r, n, path)
	}
	k.schema = map[string]any{"anyOf": []any{k.schema, map[string]any{"const": none}}}
	return k
}

// name is the name of an app, service or environment.
func name() kind {
	return kind{
		accepts: "a name: letters, digits and dashes, lower case, at most 40",
		schema:  map[string]any{"type": "string", "pattern": namePattern.String(), "maxLength": maxName},
		read: func(r *reader, n *yaml.Node, path string) (any, bool) {
			s, ok := r.text(n, path, "a name in letters, digits and dashes")
			if ok {
				r.name(n, path, s)
			}
			return s, ok
		},
	}
}

// workloadName is the name of a service or of a function.
func workloadName() kind {
	return text(codeName, "the name of a service or function", map[string]any{"pattern": namePattern.String(), "maxLength": maxFunctionName}, func(s string) error {
		if len(s) > maxFunctionName || !namePattern.MatchString(s) {
			return errors.New("a name in letters, digits and dashes: catalog, api-pickups-get")
		}
		return nil
	})
}

// name says why s cannot name something, if it cannot. It names its thing all
// the same, so that all else can be checked.
func (r *reader) name(n *yaml.Node, path, s string) {
	if hint, ok := checkName(s); !ok {
		r.fault(n, Problem{Code: codeName, Path: path, Message: quote(s) + " cannot be a name", Hint: hint})
	}
}

// duration is one between least and most.
func duration(least, most time.Duration) kind {
	accepts := "a duration: 30s, 5m, 1h30m, 2d"
	return kind{
		accepts: accepts,
		schema:  map[string]any{"anyOf": []any{map[string]any{"type": "string", "pattern": durationPattern, "minLength": 1}, map[string]any{"const": 0}}},
		read: func(r *reader, n *yaml.Node, path string) (any, bool) {
			if n.Kind != yaml.ScalarNode || n.Tag != "!!str" && n.Tag != "!!int" {
				r.wrongType(n, path, accepts)
				return nil, false
			}
			d, err := ParseDuration(n.Value)
			tooLong := errors.Is(err, errTooLong)
			if err != nil && !tooLong {
				r.fault(n, Problem{Code: codeDuration, Path: path, Message: place(path) + ": " + quote(n.Value) + " " + err.Error()})
				return nil, false
			}
			if d < least || d > most || tooLong {
				r.fault(n, Problem{Code: codeRange, Path: path, Message: fmt.Sprintf("%s is %s; at least %s, at most %s",
					place(path), short(n.Value), FormatDuration(least), FormatDuration(most))})
				return nil, false
			}
			return d, true
		},
	}
}

// number is a whole one from 1 to most.
func number(most int) kind {
	const least = 1
	accepts := fmt.Sprintf("a whole number from %d to %d", least, most)
	return kind{
		accepts: accepts,
		schema:  map[string]any{"type": "integer", "minimum": least, "maximum": most},
		read: func(r *reader, n *yaml.Node, path string) (any, bool) {
			return r.number(n, path, accepts, least, most)
		},
	}
}

func (r *reader) number(n *yaml.Node, path, accepts string, least, most int) (any, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" {
		p := Problem{Code: codeType, Path: path, Message: place(path) + " is " + describe(n), Hint: "expected " + accepts}
		if _, err := strconv.Atoi(n.Value); err == nil && n.Kind == yaml.ScalarNode {
			p.Hint = "write it without quotes: " + n.Value
		}
		r.fault(n, p)
		return nil, false
	}
	// Plain decimal only: YAML would also read 0o17, 0x1F and 1_000.
	v, err := strconv.Atoi(n.Value)
	if err != nil && !errors.Is(err, strconv.ErrRange) || err == nil && strconv.Itoa(v) != n.Value {
		r.fault(n, Problem{Code: codeType, Path: path, Message: place(path) + " is the number " + short(n.Value), Hint: "write it in plain decimal"})
		return nil, false
	}
	if err != nil || v < least || v > most {
		r.fault(n, Problem{Code: codeRange, Path: path, Message: place(path) + " is " + short(n.Value), Hint: "expected " + accepts})
		return nil, false
	}
	return v, true
}

// boolean is true or false.
func boolean() kind {
	return kind{
		accepts: "true or false",
		schema:  map[string]any{"type": "boolean"},
		read: func(r *reader, n *yaml.Node, path string) (any, bool) {
			if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
				r.wrongType(n, path, "true or false, without quotes")
				return nil, false
			}
			return strings.EqualFold(n.Value, "true"), true
		},
	}
}

// choice is one of the words; those in later are known and not served yet.
func choice(words, later []string) kind {
	accepts := strings.Join(words, ", ")
	return kind{
		accepts: accepts,
		schema:  map[string]any{"enum": words},
		read: func(r *reader, n *yaml.Node, path string) (any, bool) {
			s, ok := r.text(n, path, "one of "+accepts)
			if !ok || slices.Contains(words, s) {
				return s, ok
			}
			if slices.Contains(later, s) {
				r.later(n, path, place(path)+": "+s, "write "+strings.Join(words, " or "))
				return nil, false
			}
			p := Problem{Code: codeChoice, Path: path, Message: fmt.Sprintf("%s is %s; it is one of %s", place(path), quote(s), accepts)}
			p.Hint = didYouMean(s, words)
			r.fault(n, p)
			return nil, false
		},
	}
}

// later says that a value belongs to the language and is not served yet.
func (r *reader) later(n *yaml.Node, path, what, instead string) {
	r.fault(n, Problem{Code: codeLaterValue, Path: path, Message: what + " is not available yet", Hint: instead})
}

// names is a list of texts that check accepts, each once.
func names(code, accepts string, most int, check func(string) error) kind {
	return kind{
		accepts: accepts,
		schema: map[string]any{
			"type": "array", "uniqueItems": true, "maxItems": most,
			"items": map[string]any{"type": "string", "pattern": variablePattern.String()},
		},
		read: func(r *reader, n *yaml.Node, path string) (any, bool) {
			if n.Kind != yaml.SequenceNode {
				r.wrongType(n, path, accepts)
				return nil, false
			}
			var out []string
			few := r.atMost(n, path, len(n.Content), most)
			for i, c := range n.Content {
				s, ok := r.text(c, item(path, i), "a name")
				if !ok {
					continue
				}
				if err := check(s); err != nil {
					r.fault(c, Problem{Code: code, Path: item(path, i), Message: quote(s) + " cannot be the name of a secret", Hint: err.Error()})
				} else if slices.Contains(out, s) {
					r.fault(c, Problem{Code: codeDuplicate, Path: item(path, i), Message: quote(s) + " stands twice in " + path})
				} else {
					out = append(out, s)
				}
			}
			return out, few
		},
	}
}

// variables maps names of environment variables to their values, which are taken
// as they are written (a port need not be quoted), or to where a service is reached.
func variables() kind {
	accepts := "names with values: { LOG_LEVEL: info }"
	value := map[string]any{"anyOf": []any{map[string]any{"type": []string{"string", "number", "boolean"}}, map[string]any{"$ref": "#/definitions/address"}}}
	return kind{
		accepts: accepts, null: true,
		schema: map[string]any{
			"type": []string{"object", "null"}, "maxProperties": maxVariables, "additionalProperties": value,
			"propertyNames": map[string]any{"pattern": variablePattern.String()},
		},
		read: func(r *reader, n *yaml.Node, path string) (any, bool) {
			out := map[string]entry{}
			few := r.atMost(n, path, len(n.Content)/2, maxVariables)
			for _, p := range r.pairs(n, path, accepts) {
				if err := checkVariable(p.name); err != nil {
					r.fault(p.key, Problem{Code: codeVariable, Path: p.path, Message: quote(p.name) + " cannot be set in " + path, Hint: err.Error()})
				}
				switch {
				case p.value.Kind == yaml.MappingNode:
					if a, ok := r.address(p.value, p.path); ok {
						out[p.name] = entry{a, p}
					}
				case p.value.Kind != yaml.ScalarNode || isNull(p.value):
					r.wrongType(p.value, p.path, `text; the empty one is ""`)
				case len(p.value.Value) > maxValue || strings.Contains(p.value.Value, "\x00"):
					r.fault(p.value, Problem{Code: codeRange, Path: p.path, Message: fmt.Sprintf("%s holds more than %d bytes, or a zero byte", p.path, maxValue)})
				default:
					out[p.name] = entry{p.value.Value, p}
				}
			}
			return out, few
		},
	}
}

// Limits of what an app has, and of what one service may list.
const (
	maxServices     = 200
	maxEnvironments = 20

	maxVariables = 200
	maxValue     = 32 << 10
	maxSecrets   = 100
	maxAlarms    = 50
)

// atMost reports whether a list or mapping is short enough. It is asked before
// what stands inside: of a list far too long not every fault is told, but this is.
func (r *reader) atMost(n *yaml.Node, path string, have, most int) bool {
	if have > most {
		r.fault(n, Problem{Code: codeRange, Path: path, Message: fmt.Sprintf("%s has %d entries; at most %d", place(path), have, most)})
	}
	return have <= most
}

// with returns a copy of a schema with one more word.
func with(schema map[string]any, key string, value any) map[string]any {
	out := map[string]any{key: value}
	for k, v := range schema {
		out[k] = v
	}
	return out
}
