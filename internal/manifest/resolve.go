package manifest

import (
	"cmp"
	"slices"
	"time"

	"titrate/internal/rollout"
)

// What a service has that nothing was said about.
const (
	defaultBake          = 10 * time.Minute // R20
	defaultDrain         = 30 * time.Second // R17
	defaultStartTimeout  = 2 * time.Minute  // R14
	defaultNoDataTimeout = 30 * time.Minute // R11
)

// candidate is a workload in an environment, before it is resolved.
type candidate struct {
	f        *file
	workload workload
	said     []said  // what speaks of it alone
	layers   []layer // defaults, the workload's, environment, the workload's in the environment
	mine     []bool  // of each layer: it is among said
}

func (f *file) candidate(e section, w workload, own []said) candidate {
	c := candidate{f: f, workload: w, said: slices.Concat(w.says, own)}
	add := func(mine bool, layers ...layer) {
		for _, l := range layers {
			c.layers, c.mine = append(c.layers, l), append(c.mine, mine)
		}
	}
	add(false, f.defaults)
	add(true, layersOf(w.says)...)
	add(false, e.says)
	add(true, layersOf(own)...)
	return c
}

// own are the layers that speak of this workload alone.
func (c candidate) own() []layer { return layersOf(c.said) }

// resolve applies the layers, the most specific last. Host and route need the
// other services: see reach.
func (c candidate) resolve() Service {
	if c.workload.function {
		return c.resolveFunction()
	}
	l := c.layers
	s := Service{
		Name: c.workload.name, Line: c.workload.key.Line,
		Repo:   pick("", "repo", l...),
		Build:  pick(Build{}, "build", l...),
		Image:  pick("", "image", l...),
		Run:    pick(Run{}, "run", l...),
		Port:   pick(0, "port", l...),
		Health: pick("", "health", l...),
		Worker: pick(false, "worker", l...),
		Scale:  c.instances(),
		Limits: c.limits(), ReadOnly: pick(false, "readOnly", l...),
	}
	c.rollouts(&s, defaultStartTimeout)
	s.Build.Dir = cmp.Or(s.Build.Dir, ".")
	if s.Image != "" {
		c.refuseBuild()
		s.Build = Build{}
	}
	if e, ok := c.layers[1]["run"]; ok && s.Build.Run != "" {
		c.f.r.fault(e.key, Problem{Code: codeBuild, Path: e.path, Message: c.workload.name + " has a run and a build.run", Hint: "keep one"})
	}
	c.volumes(&s)
	c.names(&s)
	s.Hooks = c.hooks()
	kind := ofService
	if s.Worker {
		kind = ofWorker
	}
	s.Alarms = c.alarms(kind)
	if s.Worker {
		c.refuseRequests()
		s.Port, s.Health, s.Match, s.Maintenance = 0, "", nil, nil
	}
	return s
}

// rollouts takes what is said of how a workload moves. start is how long an instance may
// take to be ready where nothing is said of it.
func (c candidate) rollouts(s *Service, start time.Duration) {
	l := c.layers
	strategy := pick(defaultStrategy(), "rollout", l...)
	s.Strategy, s.Steps, s.BlueGreen = cmp.Or(strategy.Text, "steps"), strategy.Steps, strategy.BlueGreen
	s.Gradual = pick("", "rollback", l...) == "gradual"
	s.Bake = pick(defaultBake, "bake", l...)
	s.Drain = pick(defaultDrain, "drain", l...)
	s.StartTimeout = pick(start, "startTimeout", l...)
	s.NoDataTimeout = pick(defaultNoDataTimeout, "noDataTimeout", l...)
	s.NoDataPasses = pick("", "noData", l...) == "pass"
	s.Match = pick([]rollout.Match(nil), "match", l...)
	s.Maintenance = pick((*rollout.Maintenance)(nil), "maintenance", l...)
	s.SourceErrorRollback = pick("", "onSourceError", l...) == "rollback"
	s.Damage = pick(rollout.Damage{}, "damage", l...)
	s.Shield500 = pick("", "shield", l...) == "errors"
}

// instances is the scale of a service; what defaults and environments say of
// functions is another kind of value.
func (c candidate) instances() int {
	for _, l := range slices.Backward(c.layers) {
		if n, ok := l["scale"].value.(int); ok {
			return n
		}
	}
	return 1
}

// refuseBuild reports an image beside a build of the same service. What defaults
// say of builds is meant for the others.
func (c candidate) refuseBuild() {
	for _, key := range []string{"build", "repo"} {
		if e, ok := c.layers[1][key]; ok {
			c.f.r.fault(e.key, Problem{Code: codeImage, Path: e.path, Message: c.workload.name + " has an image: it is not built", Hint: "remove " + key + ", or image"})
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

// refuseRequests reports what a worker says of requests. What defaults and
// environments say is meant for the others.
func (c candidate) refuseRequests() {
	for _, l := range c.own() {
		for _, key := range []string{"host", "route", "routes", "port", "health", "match", "maintenance"} {
			if e, ok := l[key]; ok && e.value != "" && !nothing(e.value) {
				c.f.r.fault(e.key, Problem{Code: codeWorker, Path: e.path, Message: c.workload.name + " is a worker: it takes no requests", Hint: "remove " + key + ", or worker"})
			}
		}
	}
}
