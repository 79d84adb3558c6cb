package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"
)

// What a service has that nothing was said about.
const (
	defaultBake          = 10 * time.Minute // R20
	defaultDrain         = 30 * time.Second // R17
	defaultStartTimeout  = 2 * time.Minute  // R14
	defaultNoDataTimeout = 30 * time.Minute // R11
)

// candidate is a service in an environment, before it is resolved.
type candidate struct {
	f       *file
	env     section
	service section
	layers  []layer // defaults, service, environment, the service in the environment
}

// own are the layers that speak of this service alone.
func (c candidate) own() []layer { return []layer{c.layers[1], c.layers[3]} }

// resolve applies the layers, the most specific last. Host and route need the
// other services: see reach.
func (c candidate) resolve() Service {
	l := c.layers
	s := Service{
		Name: c.service.name, Line: c.service.key.Line,
		Repo:   pick("", "repo", l...),
		Build:  pick(Build{Dir: "."}, "build", l...),
		Image:  pick("", "image", l...),
		Run:    pick(Run{}, "run", l...),
		Port:   pick(0, "port", l...),
		Health: pick("", "health", l...),
		Worker: pick(false, "worker", l...),
		Scale:  pick(1, "scale", l...),
		Limits: c.limits(), ReadOnly: pick(false, "readOnly", l...),

		Gradual:             pick("", "rollback", l...) == "gradual",
		Bake:                pick(defaultBake, "bake", l...),
		Drain:               pick(defaultDrain, "drain", l...),
		StartTimeout:        pick(defaultStartTimeout, "startTimeout", l...),
		NoDataTimeout:       pick(defaultNoDataTimeout, "noDataTimeout", l...),
		NoDataPasses:        pick("", "noData", l...) == "pass",
		SourceErrorRollback: pick("", "onSourceError", l...) == "rollback",
	}
	if s.Image != "" {
		c.refuseBuild()
		s.Build = Build{}
	}
	if e, ok := c.layers[1]["run"]; ok && s.Build.Run != "" {
		c.f.r.fault(e.key, Problem{Code: codeBuild, Path: e.path, Message: c.service.name + " has a run and a build.run", Hint: "keep one"})
	}
	strategy := pick(defaultStrategy(), "rollout", l...)
	s.Strategy, s.Steps, s.BlueGreen = cmp.Or(strategy.Text, "steps"), strategy.Steps, strategy.BlueGreen
	c.volumes(&s)
	c.names(&s)
	s.Hooks = c.hooks()
	s.Alarms = c.alarms(s.Worker)
	if s.Worker {
		c.refuseRequests()
		s.Port, s.Health = 0, ""
	}
	return s
}

// refuseBuild reports an image beside a build of the same service. What defaults
// say of builds is meant for the others.
func (c candidate) refuseBuild() {
	for _, key := range []string{"build", "repo"} {
		if e, ok := c.layers[1][key]; ok {
			c.f.r.fault(e.key, Problem{Code: codeImage, Path: e.path, Message: c.service.name + " has an image: it is not built", Hint: "remove " + key + ", or image"})
		}
	}
}

func defaultStrategy() Strategy {
	s, err := ParseStrategy(DefaultStrategy)
	if err != nil {
		panic(err) // this program's own constant
	}
	return s
}

// names merges environment variables by name and adds up secrets.
func (c candidate) names(s *Service) {
	env := map[string]entry{}
	secrets := map[string]bool{}
	for _, l := range c.layers {
		for k, v := range pick(map[string]entry(nil), "env", l) {
			env[k] = v
		}
		for _, name := range pick([]string(nil), "secrets", l) {
			secrets[name] = true
		}
	}
	s.Env = map[string]string{}
	for k, v := range env {
		if secrets[k] {
			c.f.r.fault(v.key, Problem{Code: codeEnvAndSecret, Path: v.path, Message: k + " is a secret of " + s.Name + " too", Hint: "keep it in one of env and secrets"})
		}
		switch value := v.value.(type) {
		case rollout.Address:
			if s.Addresses == nil {
				s.Addresses = map[string]rollout.Address{}
			}
			s.Addresses[k] = value
			c.f.addressed = append(c.f.addressed, addressed{v.pair, value})
		case string:
			s.Env[k] = value
		}
	}
	for name := range secrets {
		s.Secrets = append(s.Secrets, name)
	}
	slices.Sort(s.Secrets)
}

// hooks merges commands by their moment.
func (c candidate) hooks() rollout.Hooks {
	merged := layer{}
	for _, l := range c.layers {
		for k, v := range pick(layer(nil), "hooks", l) {
			merged[k] = v
		}
	}
	return hooksOf(merged)
}

// alarms merges alarms by name. Of a worker, those that are about requests and
// were meant for all services fall away, because they would never have data.
func (c candidate) alarms(worker bool) []analysis.Alarm {
	merged := map[string]alarmEntry{}
	said := false
	for i, l := range c.layers {
		set, ok := pick(alarmSet{}, "alarms", l), l["alarms"].key != nil
		said = said || ok
		if set.none {
			clear(merged)
		}
		for name, a := range set.by {
			if ofItsOwn := i == 1 || i == 3; worker && ofItsOwn && a.alarm != nil && aboutRequests(a.alarm.Metric) {
				c.f.r.fault(a.key, Problem{
					Code: codeWorker, Path: a.path, Message: fmt.Sprintf("%s is a worker: %s never has data", c.service.name, a.alarm.Metric),
					Hint: "workers have cpu, memory and restarts",
				})
			}
			if a.alarm == nil {
				delete(merged, name)
			} else {
				merged[name] = a
			}
		}
	}
	var out []analysis.Alarm
	for _, a := range merged {
		out = append(out, *a.alarm)
	}
	if !said {
		out = analysis.Defaults()
	}
	out = slices.DeleteFunc(out, func(a analysis.Alarm) bool { return worker && aboutRequests(a.Metric) })
	if len(out) == 0 {
		return nil
	}
	slices.SortFunc(out, func(a, b analysis.Alarm) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// aboutRequests reports whether a metric counts or times requests.
func aboutRequests(m analysis.Metric) bool {
	return m != analysis.CPU && m != analysis.Memory && m != analysis.Restarts
}

// refuseRequests reports what a worker says of requests. What defaults and
// environments say is meant for the others.
func (c candidate) refuseRequests() {
	for _, l := range c.own() {
		for _, key := range []string{"host", "route", "port", "health"} {
			if e, ok := l[key]; ok && e.value != "" {
				c.f.r.fault(e.key, Problem{Code: codeWorker, Path: e.path, Message: c.service.name + " is a worker: it takes no requests", Hint: "remove " + key + ", or worker"})
			}
		}
	}
}
