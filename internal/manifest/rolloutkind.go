package manifest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"titrate/internal/rollout"

	"go.yaml.in/yaml/v4"
)

// strategy is a rollout: a name, {blueGreen: …} or {steps: […]}.
func strategy() kind {
	return kind{
		accepts: "AllAtOnce, Linear<P>PercentEvery<N>Minutes, Canary<P>Percent<N>Minutes, blueGreen, {blueGreen: {hold, approve, keep}} or {steps: [...]}",
		schema: map[string]any{"anyOf": []any{
			map[string]any{"type": "string", "pattern": linearPattern.String()},
			map[string]any{"type": "string", "pattern": canaryPattern.String()},
			map[string]any{"enum": StrategyNames()},
			map[string]any{"$ref": "#/definitions/rollout"},
		}},
		read: func(r *reader, n *yaml.Node, path string) (any, bool) {
			if n.Kind == yaml.MappingNode {
				return r.longStrategy(n, path)
			}
			s, ok := r.text(n, path, "the name of a strategy, such as "+DefaultStrategy)
			if !ok {
				return nil, false
			}
			parsed, err := ParseStrategy(s)
			if err != nil {
				r.fault(n, Problem{Code: codeStrategy, Path: path, Message: "unknown strategy " + quote(s), Hint: err.Error(), Help: "titrate explain rollout"})
				return nil, false
			}
			return parsed, true
		},
	}
}

func (r *reader) longStrategy(n *yaml.Node, path string) (any, bool) {
	before := len(r.problems)
	l := r.table(n, path, inRollout)
	good := len(r.problems) == before
	if good && len(l) == 0 || hasKey(n, "steps") && hasKey(n, "blueGreen") {
		r.fault(n, Problem{Code: codeStrategy, Path: path, Message: place(path) + " is steps, or blueGreen", Hint: "write one of the two"})
		return nil, false
	}
	if !good {
		return nil, false
	}
	if bg, ok := l["blueGreen"]; ok {
		return bg.value, true
	}
	return l["steps"].value, true
}

// blueGreenKind is {hold, approve, keep}.
func blueGreenKind() kind {
	return kind{
		accepts: "{ hold: D, approve: true, keep: D }", null: true,
		schema: map[string]any{"$ref": "#/definitions/blueGreen"},
		read: func(r *reader, n *yaml.Node, path string) (any, bool) {
			l := r.table(n, path, inBlueGreen)
			return blueGreen("blueGreen", pick(time.Duration(0), "hold", l), pick(false, "approve", l), pick(time.Duration(0), "keep", l)), true
		},
	}
}

// stepsKind is a list of steps, short or long.
func stepsKind() kind {
	return kind{
		accepts: "a list of steps: [1% for 5m, 25%, 50% until approved, 100%]",
		schema: map[string]any{"type": "array", "minItems": 1, "maxItems": maxSteps, "items": map[string]any{"anyOf": []any{
			map[string]any{"type": "string", "pattern": `^\s*\d{1,3}(\.\d{1,2})?\s*%(\s+for\s+\S+)?(\s+until\s+approved)?(\s+for\s+\S+)?\s*$`},
			map[string]any{"$ref": "#/definitions/step"},
		}}},
		read: func(r *reader, n *yaml.Node, path string) (any, bool) {
			if n.Kind != yaml.SequenceNode {
				r.wrongType(n, path, "a list of steps: [10% for 5m, 100%]")
				return nil, false
			}
			if len(n.Content) == 0 {
				r.fault(n, Problem{Code: codeSteps, Path: path, Message: place(path) + " has no steps", Hint: "the last is 100%"})
				return nil, false
			}
			if !r.atMost(n, path, len(n.Content), maxSteps) {
				return nil, false
			}
			return r.steps(n, path)
		},
	}
}

// steps reads steps and says of each that does not lead on towards 100 % why not.
func (r *reader) steps(n *yaml.Node, path string) (any, bool) {
	var s Strategy
	good := true
	refuse := func(i int, message string) {
		r.fault(n.Content[i], Problem{Code: codeSteps, Path: item(path, i), Message: message})
		good = false
	}
	var last rollout.Weight
	for i, c := range n.Content {
		step, ok := r.step(c, item(path, i), last)
		if !ok {
			good, last = false, max(last, 1) // whatever it is, it is not 0
			continue
		}
		if step.Weight < last {
			refuse(i, fmt.Sprintf("the weight falls from %s to %s; steps go up", last, step.Weight))
		}
		if i == len(n.Content)-1 && step.Weight != rollout.Full {
			refuse(i, fmt.Sprintf("the last step is %s, not 100 %%", step.Weight))
		}
		s.Steps, last = append(s.Steps, step), step.Weight
	}
	return s, good
}

// step reads one step; a hook without a weight runs at last, the weight before it.
func (r *reader) step(n *yaml.Node, path string, last rollout.Weight) (rollout.Step, bool) {
	if n.Kind == yaml.MappingNode {
		return r.longStep(n, path, last)
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		p := Problem{Code: codeStep, Path: path, Message: place(path) + " is " + describe(n), Hint: "a step is a weight: 10%, 10% for 5m"}
		if n.Tag == "!!int" {
			p.Hint = "numbers carry units: " + short(n.Value) + "%"
		}
		r.fault(n, p)
		return rollout.Step{}, false
	}
	s, err := ParseStep(n.Value)
	var bad *StepError
	if errors.As(err, &bad) {
		r.faultIn(n, bad.Offset, bad.Length, Problem{Code: codeStep, Path: path, Message: "the step " + quote(n.Value) + " cannot be read", Hint: bad.Message})
		return rollout.Step{}, false
	}
	return s, true
}

func (r *reader) longStep(n *yaml.Node, path string, last rollout.Weight) (rollout.Step, bool) {
	before := len(r.problems)
	l := r.table(n, path, inStep)
	if len(r.problems) > before {
		return rollout.Step{}, false
	}
	s := rollout.Step{
		Weight:  pick(rollout.Weight(0), "weight", l),
		Hold:    pick(time.Duration(0), "hold", l),
		Approve: pick(false, "approve", l),
		Hook:    pick("", "hook", l),
	}
	if _, ok := l["weight"]; !ok {
		if s.Hook == "" || last == 0 {
			p := Problem{Code: codeStep, Path: path, Message: place(path) + " has no weight", Hint: "a hook before any traffic is hooks.preTraffic"}
			if s.Hook == "" {
				p.Hint = "a step is a weight: { weight: 10%, hold: 5m }"
			}
			r.fault(n, p)
			return s, false
		}
		s.Weight = last
	}
	return s, true
}

// weightKind is a percentage. In the long form of a step a number is one without
// a unit: weight says which.
func weightKind() kind {
	return kind{
		accepts: "a percentage: 10% or 12.5%",
		schema: map[string]any{"anyOf": []any{
			map[string]any{"type": "string", "pattern": `^\d{1,3}(\.\d{1,2})?\s*%$`},
			map[string]any{"type": "number", "exclusiveMinimum": 0, "maximum": 100},
		}},
		read: func(r *reader, n *yaml.Node, path string) (any, bool) {
			if n.Kind != yaml.ScalarNode || n.Tag != "!!str" && n.Tag != "!!int" && n.Tag != "!!float" {
				r.wrongType(n, path, "a percentage: 10%")
				return nil, false
			}
			number, unit := strings.CutSuffix(n.Value, "%")
			if n.Tag == "!!str" && !unit {
				r.fault(n, Problem{Code: codeStep, Path: path, Message: place(path) + " is " + describe(n), Hint: "a percentage ends in %: 10%"})
				return nil, false
			}
			w, err := parseWeight(strings.TrimSpace(number))
			if err != nil {
				r.fault(n, Problem{Code: codeStep, Path: path, Message: fmt.Sprintf("%s: %s", place(path), err)})
				return nil, false
			}
			return w, true
		},
	}
}
