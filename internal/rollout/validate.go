package rollout

import (
	"errors"
	"fmt"
	"time"
)

// Validate reports every key of the plan that makes no sense, by name. [Next]
// expects a valid plan.
func (p Plan) Validate() error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if len(p.Members) == 0 {
		bad("members: at least one is needed")
	}
	names := map[string]bool{}
	for i, m := range p.Members {
		switch {
		case m.Workload == "":
			bad("members[%d].workload: a name is needed", i)
		case names[m.Workload]:
			bad("members[%d].workload: %s is named twice", i, m.Workload)
		}
		names[m.Workload] = true
		if m.Candidate <= 0 {
			bad("members[%d].candidate: a version is needed", i)
		}
		if m.Instances < 1 {
			bad("members[%d].instances: %d, at least 1 is needed", i, m.Instances)
		}
	}
	p.validateSteps(bad)
	p.validateTimes(bad)
	switch p.Kind {
	case Forward, Rollback:
	default:
		bad("kind: %q is none", p.Kind)
	}
	switch p.Overlap {
	case "", OverlapNext, OverlapSupersede, OverlapQueue, OverlapReject:
	default:
		bad("overlap: %q is none", p.Overlap)
	}
	return errors.Join(problems...)
}

func (p Plan) validateSteps(bad func(string, ...any)) {
	last := Weight(0)
	for i, step := range p.Steps {
		switch {
		case step.Weight < 0 || step.Weight > Full:
			bad("steps[%d].weight: %s is not between 0 %% and 100 %%", i, step.Weight)
		case step.Weight < last:
			bad("steps[%d].weight: %s is less than the step before", i, step.Weight)
		case step.Hold < 0:
			bad("steps[%d].hold: %s is negative", i, step.Hold)
		}
		last = step.Weight
	}
	if last != Full {
		bad("steps: the last must have %s", Full)
	}
	if p.From < 0 || p.From >= max(len(p.Steps), 1) {
		bad("from: there is no step %d", p.From)
	}
}

func (p Plan) validateTimes(bad func(string, ...any)) {
	for _, t := range []struct {
		name     string
		value    time.Duration
		positive bool
	}{
		{"bake", p.Bake, false},
		{"keep", p.Keep, false},
		{"drain", p.Drain, false},
		{"start_timeout", p.StartTimeout, true},
		{"no_data_timeout", p.NoDataTimeout, true},
		{"hook_timeout", p.HookTimeout, true},
	} {
		if t.value < 0 || t.positive && t.value == 0 {
			bad("%s: %s is too short", t.name, t.value)
		}
	}
	if p.MaxRestarts < 1 {
		bad("max_restarts: %d, at least 1 is needed", p.MaxRestarts)
	}
}
