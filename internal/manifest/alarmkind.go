package manifest

import (
	"errors"
	"fmt"
	"regexp"

	"titrate/internal/analysis"

	"go.yaml.in/yaml/v4"
)

// alarmsKind maps names to alarms. A nil alarm takes an inherited one away;
// "none" takes all of them away.
func alarmsKind() kind {
	accepts := "names with alarms: { errors: 5xx > 1% for 1m }, or none"
	one := map[string]any{"anyOf": []any{
		map[string]any{"type": "string", "pattern": `^none$|[<>]`},
		map[string]any{"$ref": "#/definitions/alarm"},
	}}
	return kind{
		accepts: accepts,
		schema: map[string]any{"anyOf": []any{
			map[string]any{"const": none},
			map[string]any{
				"type": "object", "maxProperties": maxAlarms, "additionalProperties": one,
				"propertyNames": map[string]any{"pattern": alarmPattern.String(), "maxLength": maxName},
			},
		}},
		read: func(r *reader, n *yaml.Node, path string) (any, bool) {
			if n.Tag == "!!str" && n.Value == none {
				return alarmSet{none: true}, true
			}
			set := alarmSet{by: map[string]alarmEntry{}}
			few := n.Kind != yaml.MappingNode || r.atMost(n, path, len(n.Content)/2, maxAlarms)
			for _, p := range r.pairs(n, path, accepts) {
				if len(p.name) > maxName || !alarmPattern.MatchString(p.name) {
					r.fault(p.key, Problem{
						Code: codeName, Path: p.path, Message: quote(p.name) + " cannot be the name of an alarm",
						Hint: fmt.Sprintf("a letter, then letters, digits, - and _, at most %d", maxName),
					})
				}
				if a, ok := r.alarm(p); ok {
					set.by[p.name] = alarmEntry{a, p}
				}
			}
			return set, few && n.Kind == yaml.MappingNode
		},
	}
}

var alarmPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// alarmSet is what one layer says of alarms.
type alarmSet struct {
	none bool // no inherited ones, whatever they are called
	by   map[string]alarmEntry
}

type alarmEntry struct {
	alarm *analysis.Alarm // nil: not this inherited one
	pair
}

// alarm reads one alarm, short or long. It is nil for "none".
func (r *reader) alarm(p pair) (*analysis.Alarm, bool) {
	n := p.value
	if n.Kind == yaml.MappingNode {
		return r.longAlarm(p)
	}
	s, ok := r.text(n, p.path, "an alarm: 5xx > 1% for 1m")
	if !ok || s == none {
		return nil, ok
	}
	a, err := analysis.ParseAlarm(p.name, s)
	if err == nil {
		return &a, true
	}
	for _, e := range alarmErrors(err) {
		r.faultIn(n, e.Offset, max(e.Length, 1), alarmProblem(p.path, quote(s), e))
	}
	return nil, false
}

// longAlarm reads { metric: 5xx_rate, above: 1%, for: 1m }.
func (r *reader) longAlarm(p pair) (*analysis.Alarm, bool) {
	before := len(r.problems)
	l := r.table(p.value, p.path, inAlarm)
	good := len(r.problems) == before
	long := analysis.Long{
		Metric: pick("", "metric", l), Above: pick("", "above", l), Below: pick("", "below", l), For: pick("", "for", l),
		Of: pick("", "of", l), Min: pick("", "min", l), Missing: pick("", "missing", l), React: pick("", "react", l),
	}
	a, err := long.Alarm(p.name)
	for _, e := range alarmErrors(err) {
		at, there := l[e.Field]
		switch problem := alarmProblem(p.path, p.name, e); {
		case there && e.Key:
			problem.Path = at.path
			r.fault(at.key, problem)
		case there:
			problem.Path = at.path
			r.faultIn(at.pair.value, e.Offset, max(e.Length, 1), problem)
		case good: // or else what is missing may be what could not be read
			r.fault(p.key, problem)
		}
	}
	return &a, good && err == nil
}

func alarmErrors(err error) (all analysis.ParseErrors) {
	errors.As(err, &all)
	return all
}

func alarmProblem(path, alarm string, e *analysis.ParseError) Problem {
	p := Problem{Code: codeAlarm, Path: path, Message: "the alarm " + alarm + " cannot be read: " + e.Problem, Hint: e.Hint, Help: "titrate explain alarms"}
	if errors.Is(e, analysis.ErrNotYet) {
		p.Code, p.Message, p.Help = codeLaterValue, e.Problem, ""
	}
	return p
}

// written is a scalar that is taken as it stands in the file: 1%, 20, 0.5.
func written(accepts string, schema map[string]any) kind {
	return kind{accepts: accepts, schema: schema, read: func(r *reader, n *yaml.Node, path string) (any, bool) {
		if n.Kind != yaml.ScalarNode || n.Tag == "!!bool" || n.Tag == "!!timestamp" || n.Value == "" {
			r.wrongType(n, path, accepts)
			return nil, false
		}
		return n.Value, true
	}}
}
