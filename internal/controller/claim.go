package controller

import (
	"slices"
	"strings"

	"titrate/internal/manifest"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// claimed refuses a host and route that lie in those of another app, or hold them:
// a push must not take traffic that it does not speak for (R28), and a longer route
// takes it from a shorter one. So it is with an environment of the same app that
// the push does not release to, unless the manifest leaves it there. Among those it
// releases to, envs, the manifest sees to it.
func (p *proposal) claimed(app manifest.App, k rollout.Key, s rollout.Settings, envs []manifest.Environment) error {
	for _, w := range p.memory.works {
		if !w.named || w.Key.App == k.App && (released(envs, w.Key.Env) || says(app, w)) {
			continue
		}
		if at := shared(w.settings(), s); at != "" {
			return problem(Conflict, "write another host or route for "+k.Workload+" in titrate.yaml",
				"%s leads to %s already, not to %s", at, neighbour(w.Key, k), k.Workload)
		}
	}
	return nil
}

// released reports whether a push releases to an environment.
func released(envs []manifest.Environment, name string) bool {
	return slices.ContainsFunc(envs, func(e manifest.Environment) bool { return e.Name == name })
}

// neighbour names k as one says it beside a workload of an app.
func neighbour(k, beside rollout.Key) string {
	if k.App == beside.App {
		return k.Workload + " in " + k.Env
	}
	return k.Workload + " of app " + k.App
}

// shared returns where requests for b would be requests for a: host and route, or
// "" when there is no such place.
func shared(a, b rollout.Settings) string {
	for _, host := range b.Hosts {
		if !slices.ContainsFunc(a.Hosts, func(h string) bool { return overlap(h, host) }) {
			continue
		}
		for _, route := range pathsOf(b) {
			if slices.ContainsFunc(pathsOf(a), func(r string) bool { return within(r, route) || within(route, r) }) {
				return host + route
			}
		}
	}
	return ""
}

// overlap reports whether there is a host name that both have: a wildcard has those
// below it.
func overlap(a, b string) bool {
	below := func(name, wild string) bool {
		suffix, ok := strings.CutPrefix(wild, "*")
		return ok && strings.HasSuffix(name, suffix)
	}
	return a == b || below(a, b) || below(b, a)
}

// pathsOf are the paths that settings route, each once.
func pathsOf(s rollout.Settings) []string {
	out := slices.Clone(s.Routes)
	for _, r := range s.Paths {
		if !slices.Contains(out, r.Path) {
			out = append(out, r.Path)
		}
	}
	return out
}

// within reports whether path lies below route, segment by segment, or is it.
func within(path, route string) bool {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(route, "/"))
	return ok && (rest == "" || rest[0] == '/')
}

// yield lets a workload that the manifest names no more, or makes a worker, keep its
// host and route until the one that the manifest puts there, in the same environment,
// takes traffic (R28).
func (m *memory) yield(all []world.Workload) {
	for i := range all {
		o := &all[i]
		if !m.works[o.Key].outstays() {
			continue
		}
		heir := func(w world.Workload) bool {
			of := m.works[w.Key]
			return w.Key.App == o.Key.App && w.Key.Env == o.Key.Env && !of.outstays() && samePlace(w, *o) &&
				slices.ContainsFunc(w.Split, func(s world.Share) bool { return of.answers(s.Version) })
		}
		if slices.ContainsFunc(all, heir) {
			o.Hosts, o.Routes, o.Paths = nil, nil, nil
		}
	}
}

// samePlace reports whether two workloads answer on one host and route.
func samePlace(a, b world.Workload) bool {
	return len(a.Hosts) > 0 && slices.Equal(a.Hosts, b.Hosts) && slices.Equal(a.Routes, b.Routes) && samePaths(a.Paths, b.Paths)
}

// samePaths reports whether two workloads' further routes take the same requests.
func samePaths(a, b []rollout.Route) bool {
	return slices.EqualFunc(a, b, func(a, b rollout.Route) bool { return slices.Equal(a.Claims(), b.Claims()) })
}

// says reports whether the manifest gives a workload the place that it has.
func says(app manifest.App, w *work) bool {
	e, _ := app.Environment(w.Key.Env)
	s, there := e.Service(w.Key.Workload)
	set, now := settingsOf(s), w.settings()
	return there && slices.Equal(set.Hosts, now.Hosts) && slices.Equal(set.Routes, now.Routes) && samePaths(set.Paths, now.Paths)
}
