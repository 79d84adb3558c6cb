package manifest

import (
	"cmp"
	"errors"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/schedule"

	"go.yaml.in/yaml/v4"
)

const maxTimers = 20

// cronKind is an expression, { cron, zone, input }, or a list of these.
func cronKind() kind {
	accepts := "a schedule: 0 2 * * *, rate(5 minutes), cron(0 2 * * ? *), { cron, zone, input }, a list of these, or none"
	one := []any{map[string]any{"type": "string", "minLength": 1}, map[string]any{"$ref": "#/definitions/timer"}}
	return kind{
		accepts: accepts,
		schema:  map[string]any{"anyOf": append(one, map[string]any{"type": "array", "maxItems": maxTimers, "items": map[string]any{"anyOf": one}})},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && n.Value == none {
				return []rollout.ScheduleTrigger(nil), true
			}
			if n.Kind != yaml.SequenceNode {
				t, ok := r.timer(n, at)
				return []rollout.ScheduleTrigger{t}, ok
			}
			if !r.atMost(n, at, len(n.Content), maxTimers) {
				return nil, false
			}
			var out []rollout.ScheduleTrigger
			good := true
			for i, c := range n.Content {
				t, ok := r.timer(c, item(at, i))
				out, good = append(out, t), good && ok
			}
			return out, good
		},
	}
}

func (r *reader) timer(n *yaml.Node, at string) (rollout.ScheduleTrigger, bool) {
	if n.Kind != yaml.MappingNode {
		s, ok := expressionKind().read(r, n, at)
		if !ok {
			return rollout.ScheduleTrigger{}, false
		}
		return rollout.ScheduleTrigger{Expression: s.(string)}, true
	}
	before := len(r.problems)
	l := r.table(n, at, inTimer)
	if _, ok := l["cron"]; !ok && len(r.problems) == before {
		r.fault(n, Problem{Code: codeSchedule, Path: at, Message: place(at) + " does not say when", Hint: "add cron: 0 2 * * *"})
	}
	return rollout.ScheduleTrigger{
		Expression: pick("", "cron", l), Zone: pick("", "zone", l), Input: pick([]byte(nil), "input", l),
	}, len(r.problems) == before
}

// expressionKind is when something is due, kept without white space around it.
func expressionKind() kind {
	accepts := "a schedule: 0 2 * * *, rate(5 minutes) or cron(0 2 * * ? *)"
	return kind{
		accepts: accepts, schema: map[string]any{"type": "string", "minLength": 1},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			s, ok := r.text(n, at, accepts)
			if !ok {
				return nil, false
			}
			parsed, err := schedule.Parse(s)
			var bad *schedule.Error
			if errors.As(err, &bad) {
				message := place(at) + ": " + bad.Why
				if bad.Field != "" {
					message = place(at) + ", " + bad.Field + ": " + bad.Why
				}
				r.fault(n, Problem{Code: codeSchedule, Path: at, Message: message, Hint: cmp.Or(bad.Help, accepts)})
				return nil, false
			}
			return parsed.String(), err == nil
		},
	}
}

// checkZone says what is wrong with the name of a time zone.
func checkZone(s string) error {
	if s == "" || s == "Local" || len(s) > 64 {
		return errors.New("a zone of the IANA database: Asia/Riyadh, or UTC")
	}
	if _, err := time.LoadLocation(s); err != nil {
		return errors.New("there is no such zone in the IANA database: write Asia/Riyadh, say")
	}
	return nil
}
