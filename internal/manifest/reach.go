package manifest

import (
	"fmt"
	"slices"
	"strings"
)

// primary is the environment whose hosts stand as they are written: production,
// or else the last.
func (f *file) primary() string {
	for _, e := range f.environments {
		if e.name == "production" {
			return e.name
		}
	}
	return f.environments[len(f.environments)-1].name
}

// reach decides under which host and route each service of an environment is
// reached from outside.
func (f *file) reach(env *Environment, e section, own map[string]layer) {
	prefix := ""
	if env.Name != f.primary() {
		prefix = env.Name + "."
	}
	// Written for all environments: below the environment's name, except in the
	// primary one.
	inherited := func(host string) string {
		if host == "" {
			return ""
		}
		return prefix + host
	}
	var hosts []string
	for i := range env.Services {
		s := &env.Services[i]
		if s.Worker {
			continue
		}
		says := f.services[i].says
		s.Route = pick("", "route", says, own[s.Name])
		s.Host = inherited(pick("", "host", says))
		if _, ok := own[s.Name]["host"]; ok {
			s.Host = pick("", "host", own[s.Name])
		}
		if s.Host != "" && !slices.Contains(hosts, s.Host) {
			hosts = append(hosts, s.Host)
		}
	}
	common, told := f.common(e, inherited)
	for i := range env.Services {
		s := &env.Services[i]
		says := []layer{f.services[i].says, own[s.Name]}
		wants := s.Route != "" || len(env.Services) == 1
		if _, silent := lastSaid("host", says...); silent && wants && !s.Worker && s.Host == "" {
			switch {
			case told:
				s.Host = common
			case len(hosts) == 1:
				s.Host = hosts[0]
			case len(hosts) > 1 && !f.troubled("host"):
				at, _ := lastSaid("route", says...)
				f.r.fault(at.key, Problem{
					Code: codeRouteHost, Path: at.path, Hint: "add host, here or in defaults",
					Message: fmt.Sprintf("%s has a route, but on which host? %s has %s", s.Name, env.Name, strings.Join(hosts, " and ")),
				})
			default:
				s.Host = inherited(f.name + ".localhost")
			}
		}
		s.finishRoute()
	}
}

// common is the host that defaults or the environment name for every service
// with a route; told is false when neither does.
func (f *file) common(e section, inherited func(string) string) (host string, told bool) {
	if _, ok := e.says["host"]; ok {
		return pick("", "host", e.says), true
	}
	if _, ok := f.defaults["host"]; ok {
		return inherited(pick("", "host", f.defaults)), true
	}
	return "", false
}

// lastSaid returns the most specific entry of a key; silent is true when there
// is none.
func lastSaid(key string, layers ...layer) (e entry, silent bool) {
	for _, l := range slices.Backward(layers) {
		if e, ok := l[key]; ok {
			return e, false
		}
	}
	return entry{}, true
}

// finishRoute makes host and route stand together: both, or neither.
func (s *Service) finishRoute() {
	switch {
	case s.Host == "":
		s.Route = ""
	case s.Route == "":
		s.Route = "/"
	case s.Route != "/":
		s.Route = strings.TrimSuffix(s.Route, "/")
	}
}

// distinct reports services that answer on the same host and route, in one
// environment or in two.
func (f *file) distinct(app *App) {
	type place struct{ host, route string }
	taken := map[place]string{}
	misnamed := slices.ContainsFunc(f.unread, func(p Problem) bool { return p.Code == codeName })
	for i, env := range app.Environments {
		for j, s := range env.Services {
			if s.Host == "" {
				continue
			}
			who := s.Name + " in " + env.Name
			if other, ok := taken[place{s.Host, s.Route}]; ok {
				at, problem := f.routeOf(i, j), Problem{
					Code: codeRouteTaken, Message: fmt.Sprintf("%s%s leads to %s already, not to %s", s.Host, s.Route, other, who),
					Hint: "give one of them another host or route",
				}
				problem.Path = at.path
				f.r.fault(at.key, problem)
				continue
			}
			taken[place{s.Host, s.Route}] = who
			if len(s.Host) > 253 && !misnamed {
				at := f.routeOf(i, j)
				f.r.fault(at.key, Problem{Code: codeHost, Path: at.path, Message: "the host of " + who + " is longer than 253 characters", Hint: "write a shorter one under environments"})
			}
		}
	}
}

// routeOf returns what is nearest to the reason of a service's host and route.
func (f *file) routeOf(environment, service int) pair {
	e, s := f.environments[environment], f.services[service]
	var own layer
	for _, o := range pick([]section(nil), "services", e.says) {
		if o.name == s.name {
			own = o.says
		}
	}
	for _, l := range []layer{own, s.says, e.says, f.defaults} {
		for _, key := range []string{"route", "host"} {
			if at, ok := l[key]; ok {
				return at.pair
			}
		}
	}
	return s.pair
}
