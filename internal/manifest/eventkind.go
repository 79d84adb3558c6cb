package manifest

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// Limits of an event that a manifest holds. A larger one belongs in a test.
const (
	maxEvent      = 32 << 10
	maxEventDepth = 16 // it may have to be written again two levels deeper, by Expand
	maxEventKey   = 256
)

// eventKind is an event, written as YAML and kept as JSON.
func eventKind() kind {
	accepts := `keys with values, the event: { path: /health }`
	return kind{
		accepts: accepts, schema: map[string]any{"type": "object"},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			if n.Kind != yaml.MappingNode {
				r.wrongType(n, at, accepts)
				return nil, false
			}
			before := len(r.problems)
			v := r.event(n, at, 1)
			if len(r.problems) > before || r.gaps {
				return nil, false
			}
			b, err := json.Marshal(v)
			if err == nil && len(b) > maxEvent {
				err = fmt.Errorf("longer than %d bytes", maxEvent)
			}
			if err != nil {
				r.fault(n, Problem{Code: codeEvent, Path: at, Message: place(at) + " cannot be an event", Hint: err.Error()})
				return nil, false
			}
			return b, true
		},
	}
}

// event is a value as JSON has it: what only YAML knows is taken as it is written.
func (r *reader) event(n *yaml.Node, at string, depth int) any {
	refuse := func(hint string) any {
		r.fault(n, Problem{Code: codeEvent, Path: at, Message: place(at) + " cannot be part of an event", Hint: hint})
		return nil
	}
	if depth > maxEventDepth {
		return refuse(fmt.Sprintf("an event is nested at most %d levels deep", maxEventDepth))
	}
	switch n.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		for _, p := range r.pairs(n, at, "keys with values") {
			if len(p.name) > maxEventKey {
				return refuse(fmt.Sprintf("a key has at most %d bytes", maxEventKey))
			}
			out[p.name] = r.event(p.value, p.path, depth+1)
		}
		return out
	case yaml.SequenceNode:
		out := []any{}
		for i, c := range n.Content {
			out = append(out, r.event(c, item(at, i), depth+1))
		}
		return out
	case yaml.ScalarNode:
	default:
		return nil // an alias, which was refused
	}
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int", "!!float":
		number := json.Number(n.Value)
		if b, err := json.Marshal(number); err == nil && string(b) == n.Value {
			return number
		}
		return refuse("write the number in decimal, or as text in quotes")
	}
	return n.Value
}

// writeEvent is JSON as YAML reads it back: YAML knows it, but for characters that
// no editor shows.
func writeEvent(event []byte) string {
	var b strings.Builder
	for _, c := range string(event) {
		switch {
		case c > 0xffff && !unicode.IsGraphic(c):
			fmt.Fprintf(&b, `\U%08x`, c)
		case !unicode.IsGraphic(c) || unicode.IsSpace(c) && c != ' ':
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}
