package harness

import (
	"fmt"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/manifest"
	"titrate/internal/rollout"
)

// calls are how often functions are called, in a second: from seldom to often.
var calls = []float64{0.01, 0.01, 0.1, 1, 5, 30, 100}

// addFunctions adds functions that move together to some apps, and instead of services
// that do: two and more, sixty now and then.
func (h *history) addFunctions(a *app) {
	r := h.rare
	if r.Float64() > 0.3 {
		return
	}
	n := 2 + r.IntN(5)
	if r.IntN(8) == 0 {
		n = 60
		h.count(ManyFunctions)
	}
	h.count(Functions)
	a.together = [2]int{len(a.services), len(a.services) + n}
	for i := range n {
		s := &service{name: fmt.Sprintf("f%d", i), scale: 1, load: pick(r, calls), artifact: 1, function: true}
		if s.load < 1 {
			h.count(RareFunction)
		}
		a.services = append(a.services, s)
		h.build(s, r.IntN(4*n) > 0)
	}
	if r.IntN(3) > 0 {
		a.waves = 1 + r.IntN(max(1, n/3))
		h.count(Waves)
	}
}

// functionAlarms are those of imagined functions.
var functionAlarms = map[string]string{"errors": "errors > 1% for 5s", "throttles": "throttles > 0 for 5s", "timeouts": "timeouts > 3 for 10s"}

// functions makes functions of the services that are some.
func (a *app) functions(parsed *manifest.App) {
	for i := range parsed.Environments {
		e := &parsed.Environments[i]
		e.Waves = a.waves
		for j := range e.Services {
			s := &e.Services[j]
			of := a.service(s.Name)
			if of == nil || !of.function {
				continue
			}
			s.Function = &manifest.Function{Path: s.Name, Run: rollout.Function{Timeout: 3 * time.Second}, Scale: rollout.Scale{Max: 10}}
			s.Alarms = nil
			for _, name := range []string{"errors", "throttles", "timeouts"} {
				alarm, err := analysis.ParseAlarm(name, functionAlarms[name])
				if err != nil {
					panic(fmt.Sprintf("the imagined alarm is wrong: %v", err))
				}
				s.Alarms = append(s.Alarms, alarm)
			}
		}
	}
}

func (a *app) service(name string) *service {
	for _, s := range a.services {
		if s.name == name {
			return s
		}
	}
	return nil
}
