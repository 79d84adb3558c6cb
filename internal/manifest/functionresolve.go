package manifest

import (
	"fmt"
	"slices"
	"time"

	"titrate/internal/httpevent"
	"titrate/internal/rollout"
)

// resolveFunction applies the layers of a function, the most specific last. Its host
// needs the other workloads: see reach. Its queues need the other functions: see queues.
func (c candidate) resolveFunction() Service {
	l := c.layers
	s := Service{Name: c.workload.name, Line: c.workload.key.Line, Scale: 1, Limits: c.functionLimits(), Build: c.folder()}
	c.rollouts(&s, defaultFunctionStart)
	c.names(&s)
	s.Hooks = c.hooks()
	s.Alarms = c.alarms(ofFunction)
	s.Function = &Function{Path: c.workload.path, Run: functionOf(l), Layers: pick([]string(nil), "layers", l...), Scale: c.functionScale()}
	s.Drain = max(s.Drain, s.Function.Run.Timeout) // R17
	c.http(s.Function)
	s.Function.Triggers.Schedules = pick([]rollout.ScheduleTrigger(nil), "cron", l...)
	s.Function.Triggers.Topics = pick([]string(nil), "topic", l...)
	c.queues(s.Function)
	return s
}

// folder is how the function is built: in its own folder, unless another is named.
func (c candidate) folder() Build {
	b := pick(Build{}, "build", c.layers...)
	if b.Dir == "" {
		b.Dir = c.workload.path
	}
	e := c.last("build")
	if b.With == BuildsDocker || b.Dockerfile != "" || b.Target != "" || len(b.Args) > 0 || b.With == "static" || b.Fallback != "" {
		c.f.r.fault(e.key, Problem{
			Code: codeBuild, Path: e.path, Message: "a function is a program and no image or site: " + short(c.workload.path) + " cannot be built so",
			Hint: "keep its folder, or build: { command, output }; or declare a service",
		})
	}
	return b
}

// functionLimits merges limits by resource; memory says the same as limits.memory.
func (c candidate) functionLimits() rollout.Limits {
	merged := layer{}
	for _, l := range c.layers {
		limits := pick(layer(nil), "limits", l)
		for k, v := range limits {
			merged[k] = v
		}
		e, ok := l["memory"]
		if _, twice := limits["memory"]; ok && twice {
			c.f.r.fault(e.key, Problem{Code: codeLimit, Path: e.path, Message: "memory and limits.memory say the same thing", Hint: "keep one of them"})
		}
		if ok {
			merged["memory"] = e
		}
	}
	out := limitsOf(merged)
	if out.Memory == 0 {
		out.Memory = defaultFunctionMemory
	}
	return out
}

// functionScale is what was said of functions. A number in defaults or an
// environment is the services', where there are any.
func (c candidate) functionScale() rollout.Scale {
	for _, l := range slices.Backward(c.layers) {
		switch v := l["scale"].value.(type) {
		case rollout.Scale:
			return v
		case int:
			if len(c.f.services) == 0 {
				return rollout.Scale{Max: v}
			}
		}
	}
	return rollout.Scale{Max: defaultMax}
}

// http makes the routes of a function.
func (c candidate) http(fn *Function) {
	e := c.last("http")
	says, ok := e.value.(httpSays)
	if !ok || !says.byPath && len(says.routes) == 0 {
		return
	}
	fn.Triggers.Routes, fn.Triggers.Payload, fn.Triggers.CORS, fn.Triggers.JWT = says.routes, says.payload, says.cors, says.jwt
	if !says.byPath {
		return
	}
	route, err := httpevent.ByPath(c.root(), fn.Path)
	if err == nil {
		err = checkHTTPRoute(route)
	}
	if err != nil {
		c.f.r.fault(e.pair.value, Problem{Code: codeHTTP, Path: e.path, Message: e.path + ": " + err.Error(), Hint: "a folder is named as api/pickups/[id]/get is"})
		return
	}
	fn.Triggers.Routes = []string{route}
}

// root is the folder below which paths of routes begin: that of the widest pattern
// which says by-path, so that a narrower one beside it changes no address.
func (c candidate) root() string {
	var roots []string
	for _, s := range c.said {
		if says, ok := s.layer["http"].value.(httpSays); ok && says.byPath {
			roots = append(roots, s.root)
		}
	}
	return slices.MinFunc(roots, func(a, b string) int { return len(a) - len(b) })
}

// queues takes the queues of a function. Their settings follow when all functions are
// resolved.
func (c candidate) queues(fn *Function) {
	all := pick([]taken(nil), "queue", c.layers...)
	batch := c.last("batch")
	if batch.key != nil && len(all) == 0 && c.last("queue").key == nil {
		c.f.r.fault(batch.key, Problem{Code: codeQueue, Path: batch.path, Message: batch.path + " is how many messages of a queue a call has, and there is no queue", Hint: "add queue: orders"})
	}
	for _, t := range all {
		q := t.QueueTrigger
		if q.Batch == 0 {
			q.Batch = pick(defaultBatch, "batch", c.layers...)
		}
		if q.Most > fn.Scale.Max {
			c.f.r.fault(t.at.key, Problem{
				Code: codeQueue, Path: t.at.path, Message: fmt.Sprintf("%s takes %d calls at a time of %s, and has at most %d instances", short(fn.Path), q.Most, q.Queue.Name, fn.Scale.Max),
				Hint: "raise scale, or lower concurrency",
			})
		}
		c.f.takers = append(c.f.takers, taker{at: t.at, path: fn.Path, queue: q.Queue.Name, needs: fn.Run.Timeout + q.Window})
		fn.Triggers.Queues = append(fn.Triggers.Queues, q)
	}
}

// taker is a function that is called by a queue, in the environment that is being
// resolved.
type taker struct {
	at    pair
	path  string
	queue string
	needs time.Duration // for which its messages must be hidden
}
