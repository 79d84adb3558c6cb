package manifest

import (
	"fmt"
	"slices"
	"strings"

	"titrate/internal/rollout"
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

// reach decides under which host and route each workload of an environment is
// reached from outside.
func (f *file) reach(env *Environment, e section, own map[string][]said) {
	prefix := ""
	if env.Name != f.primary() {
		prefix = env.Name + "."
	}
	// Written for all environments: below the environment's name, except in the
	// primary one.
	inherited := func(host string) string {
		name, wild := strings.CutPrefix(host, "*.")
		switch {
		case host == "":
			return ""
		case wild:
			return "*." + prefix + name
		}
		return prefix + host
	}
	var hosts, ofServices []string
	for i := range env.Services {
		s, says, there := &env.Services[i], layersOf(f.all[i].says), layersOf(own[env.Services[i].Name])
		if s.Worker || s.Function != nil && !f.wantsHost(s) {
			continue
		}
		if s.Function == nil {
			s.Route = pick("", "route", append(says, there...)...)
			s.Routes = pick([]rollout.Route(nil), "routes", append(says, there...)...)
		}
		s.Host = inherited(pick("", "host", says...))
		if _, silent := lastSaid("host", there...); !silent {
			s.Host = pick("", "host", there...)
		}
		if s.Host != "" && !slices.Contains(hosts, s.Host) {
			hosts = append(hosts, s.Host)
			if s.Function == nil {
				ofServices = append(ofServices, s.Host)
			}
		}
	}
	common, told := f.common(e, inherited)
	for i := range env.Services {
		s := &env.Services[i]
		says := append(layersOf(f.all[i].says), layersOf(own[s.Name])...)
		known := hosts
		if s.Function == nil {
			known = ofServices // that a function has a host of its own moves no service
		}
		if _, silent := lastSaid("host", says...); silent && f.wantsHost(s) && s.Host == "" {
			switch {
			case told:
				s.Host = common
			case len(known) == 1:
				s.Host = known[0]
			case len(known) > 1 && !f.troubled("host"):
				f.whichHost(env, s, says, known)
			default:
				s.Host = inherited(f.name + ".localhost")
			}
		}
		s.finishRoute()
	}
}

// wantsHost reports whether a workload is to be reached from outside: a service with a
// route or an app's only one, and a function with routes.
func (f *file) wantsHost(s *Service) bool {
	if s.Function != nil {
		return len(s.Function.Triggers.Routes) > 0
	}
	return !s.Worker && (s.Route != "" || len(s.Routes) > 0 || len(f.services) == 1)
}

// whichHost reports a workload with routes that several hosts could be meant for.
func (f *file) whichHost(env *Environment, s *Service, says []layer, hosts []string) {
	key, has := "route", "a route"
	if s.Route == "" {
		key = "routes"
	}
	if s.Function != nil {
		key, has = "http", "http"
	}
	at, _ := lastSaid(key, says...)
	f.r.fault(at.key, Problem{
		Code: codeRouteHost, Path: at.path, Hint: "add host, here or in defaults",
		Message: fmt.Sprintf("%s has %s, but on which host? %s has %s", s.Name, has, env.Name, several(hosts, 3)),
	})
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

// finishRoute makes host and routes of a service stand together: both, or neither.
func (s *Service) finishRoute() {
	switch {
	case s.Host == "" || s.Function != nil:
		s.Route, s.Routes = "", nil
	case s.Route == "" && len(s.Routes) > 0:
	case s.Route == "":
		s.Route = "/"
	case s.Route != "/":
		s.Route = strings.TrimSuffix(s.Route, "/")
	}
}

// distinct reports services that answer on the same host and route, in one
// environment or in two.
func (f *file) distinct(app *App) {
	taken := map[claim]string{}
	misnamed := slices.ContainsFunc(f.unread, func(p Problem) bool { return p.Code == codeName })
	for i, env := range app.Environments {
		for j, s := range env.Services {
			if s.Host == "" {
				continue
			}
			who := s.Name + " in " + env.Name
			if s.Function != nil {
				f.tooLong(i, j, s.Host, who, misnamed)
				continue
			}
			if f.claims(s, who, taken, f.routeOf(i, j)) {
				f.tooLong(i, j, s.Host, who, misnamed)
			}
		}
	}
}

// claim is what one service at most may have.
type claim struct{ host, requests string }

// claims takes the places of a service, and reports the first that is taken.
func (f *file) claims(s Service, who string, taken map[claim]string, at pair) bool {
	var all []string
	if s.Route != "" {
		all = rollout.Route{Path: s.Route}.Claims()
	}
	for _, r := range s.Routes {
		all = append(all, r.Claims()...)
	}
	for i, requests := range all {
		other, ok := taken[claim{s.Host, requests}]
		if !ok {
			taken[claim{s.Host, requests}] = who
			continue
		}
		shown := s.Host + " " + requests
		if i == 0 && s.Route != "" {
			shown = s.Host + s.Route
		}
		f.r.fault(at.key, Problem{
			Code: codeRouteTaken, Path: at.path, Message: fmt.Sprintf("%s leads to %s already, not to %s", shown, other, who),
			Hint: "give one of them another host or route",
		})
		return false
	}
	return true
}

// tooLong reports a host that no name server would take.
func (f *file) tooLong(environment, workload int, host, who string, misnamed bool) {
	if len(host) <= 253 || misnamed {
		return
	}
	at := f.routeOf(environment, workload)
	f.r.fault(at.key, Problem{Code: codeHost, Path: at.path, Message: "the host of " + who + " is longer than 253 characters", Hint: "write a shorter one under environments"})
}

// routeOf returns what is nearest to the reason of a workload's host and route.
func (f *file) routeOf(environment, workload int) pair {
	e, w := f.environments[environment], f.all[workload]
	all := append([]layer{f.defaults, e.says}, layersOf(w.says)...)
	for _, l := range slices.Backward(append(all, layersOf(f.own[environment][w.name])...)) {
		for _, key := range []string{"routes", "route", "host"} {
			if at, ok := l[key]; ok {
				return at.pair
			}
		}
	}
	return w.pair
}
