package manifest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"titrate/internal/rollout"

	"go.yaml.in/yaml/v4"
)

// mostDamage is the largest number of requests that a damage budget can name.
const mostDamage = 1_000_000

// damageKind is a damage budget: a number of requests, or a percentage.
func damageKind() kind {
	return kind{
		accepts: "a number of requests or a percentage: 50 requests, 0.5%, none",
		schema: map[string]any{"anyOf": []any{
			map[string]any{"type": "string", "pattern": `^\s*[1-9][0-9]{0,6}\s+requests?\s*$`},
			map[string]any{"type": "string", "pattern": `^\s*\d{1,3}(\.\d{1,2})?\s*%\s*$`},
			map[string]any{"const": none},
		}},
		read: func(r *reader, n *yaml.Node, path string) (any, bool) {
			if n.Kind == yaml.ScalarNode && n.Tag == "!!int" {
				r.fault(n, Problem{Code: codeDamage, Path: path, Message: place(path) + " is a number without a unit", Hint: "write " + short(n.Value) + " requests"})
				return nil, false
			}
			s, ok := r.text(n, path, "a number of requests or a percentage: 50 requests")
			if !ok {
				return nil, false
			}
			d, err := parseDamage(s)
			if err != nil {
				r.fault(n, Problem{Code: codeDamage, Path: path, Message: fmt.Sprintf("%s: %s cannot be read", place(path), quote(s)), Hint: err.Error()})
				return nil, false
			}
			return d, true
		},
	}
}

// parseDamage reads "50 requests", "0.5%" or "none".
func parseDamage(s string) (rollout.Damage, error) {
	s = strings.TrimSpace(s)
	if s == none {
		return rollout.Damage{}, nil
	}
	if number, ok := strings.CutSuffix(s, "%"); ok {
		w, err := parseWeight(strings.TrimSpace(number))
		return rollout.Damage{Share: w}, err
	}
	words := strings.Fields(s)
	if len(words) != 2 || words[1] != "requests" && words[1] != "request" {
		return rollout.Damage{}, errors.New("write how many: 50 requests, or 0.5%")
	}
	n, err := strconv.ParseUint(words[0], 10, 64)
	if err != nil || n == 0 || n > mostDamage || words[0][0] == '+' || words[0][0] == '0' {
		return rollout.Damage{}, fmt.Errorf("a whole number from 1 to %d comes first: 50 requests", mostDamage)
	}
	return rollout.Damage{Requests: n}, nil
}

// writeDamage writes a damage budget as the manifest reads it.
func writeDamage(d rollout.Damage) string {
	switch {
	case d.Requests > 0:
		return d.String()
	case d.Share > 0:
		return percent(d.Share)
	}
	return none
}
