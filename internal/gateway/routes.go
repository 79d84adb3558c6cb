package gateway

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// routes finds the workload of a public request. A pattern that matches in full wins
// over path prefixes, and those over a greedy pattern and $default. The longest path
// prefix wins; of equally long ones, and of equal patterns, the one that names the host;
// then the one that came first.
//
// On a host that some app's environment names, routes without a host count only
// if they are of such an environment: else one app's "/api" would take the
// requests of every other app's host.
type routes struct {
	hosts    map[string]*site
	anywhere site // for hosts that nobody names
}

// site is what is routed on one host.
type site struct {
	prefixes []route
	patterns patterns
}

// route is one path prefix, without its trailing slash: "" is every path.
type route struct {
	prefix string
	bound  bool // names the host it is under
	lane   *lane
}

// owner is an environment of an app: what may share a host.
type owner struct{ app, env string }

// newRoutes compiles the routes of workloads, whose lanes are in the same order.
// The claims that lost are returned as sentences.
func newRoutes(ws []Workload, lanes []*lane) (routes, []string) {
	r := routes{hosts: map[string]*site{}}
	owners := map[string]map[owner]bool{}
	for _, w := range ws {
		for _, h := range hostsOf(w) {
			if owners[h] == nil {
				owners[h] = map[owner]bool{}
			}
			owners[h][owner{w.Key.App, w.Key.Env}] = true
			r.hosts[h] = &site{}
		}
	}
	for i, w := range ws {
		hosts := hostsOf(w)
		for _, h := range hosts {
			r.hosts[h].add(w, lanes[i], true)
		}
		if len(hosts) > 0 {
			continue
		}
		r.anywhere.add(w, lanes[i], false)
		for h, of := range owners {
			if of[owner{w.Key.App, w.Key.Env}] {
				r.hosts[h].add(w, lanes[i], false)
			}
		}
	}
	lost := r.anywhere.order("any host")
	for h, s := range r.hosts {
		lost = append(lost, s.order(h)...)
	}
	slices.Sort(lost)
	return r, lost
}

// add routes what a workload claims of a site.
func (s *site) add(w Workload, l *lane, bound bool) {
	for _, p := range prefixesOf(w) {
		s.prefixes = append(s.prefixes, route{prefix: p, bound: bound, lane: l})
	}
	if w.Worker {
		return
	}
	for _, p := range w.Patterns {
		s.patterns.add(claim{key: p, bound: bound, lane: l})
	}
}

// order makes the first claim that matches the one that wins, and says which can never.
func (s *site) order(host string) []string {
	return append(order(host, s.prefixes), s.patterns.order(host, s.prefixes)...)
}

// hostsOf returns the normal form of a workload's hosts, each once.
func hostsOf(w Workload) []string {
	if w.Worker {
		return nil
	}
	var hosts []string
	for _, h := range w.Hosts {
		if n, ok := hostName(h); ok && !slices.Contains(hosts, n) {
			hosts = append(hosts, n)
		}
	}
	return hosts
}

// prefixesOf returns a workload's path prefixes in normal form, each once: all
// paths for one that names hosts only, none for one that names none or has patterns.
func prefixesOf(w Workload) []string {
	if w.Worker {
		return nil
	}
	if len(w.Routes) == 0 && len(w.Patterns) == 0 && len(w.Hosts) > 0 {
		return []string{""}
	}
	var ps []string
	for _, r := range w.Routes {
		if p := strings.TrimRight(r, "/"); !slices.Contains(ps, p) {
			ps = append(ps, p)
		}
	}
	return ps
}

// order sorts routes so that the first that matches wins, and says which can
// never match because another has their place.
func order(host string, rs []route) (lost []string) {
	slices.SortStableFunc(rs, func(a, b route) int {
		if c := cmp.Compare(len(b.prefix), len(a.prefix)); c != 0 {
			return c
		}
		if a.bound != b.bound {
			if a.bound {
				return -1
			}
			return 1
		}
		return 0
	})
	won := map[string]route{}
	for _, r := range rs {
		w, taken := won[r.prefix]
		if !taken {
			won[r.prefix] = r
		} else if w.bound == r.bound {
			lost = append(lost, fmt.Sprintf("route %s/ on %s of %s is taken by %s", r.prefix, host, r.lane.key, w.lane.key))
		}
	}
	return lost
}

// find returns the lane of an arrival for a host name in normal form, nil when there is
// none. A workload whose first version is not there yet leaves its place to the next
// that fits: a new service takes nothing before it can answer.
func (r routes) find(host string, a arrival) *lane {
	s, ok := r.hosts[host]
	if !ok {
		s = &r.anywhere
	}
	q := query{method: a.method, wants: a.wants, escaped: a.raw != ""}
	path := a.path
	if q.escaped {
		path = a.raw
	}
	path, rooted := strings.CutPrefix(path, "/")
	rooted = rooted || path == ""
	if rooted {
		if l := s.patterns.root.full(&q, path, true); l != nil {
			return l
		}
	}
	for _, c := range s.prefixes {
		if !under(a.path, c.prefix) {
			continue
		}
		if l := q.try(c.lane); l != nil {
			return l
		}
	}
	if !rooted {
		return q.first
	}
	if l := s.patterns.root.longest(&q, path, true); l != nil {
		return l
	}
	if l := q.take(s.patterns.fallback); l != nil {
		return l
	}
	if a.wants != "" && q.first == nil {
		// Nobody takes the method: whoever has the path says so by its rules on CORS.
		q.any = true
		if l := s.patterns.root.full(&q, path, true); l != nil {
			return l
		}
		if l := s.patterns.root.longest(&q, path, true); l != nil {
			return l
		}
	}
	return q.first
}

// under reports whether path is prefix or below it, on whole segments.
func under(path, prefix string) bool {
	return strings.HasPrefix(path, prefix) && (len(path) == len(prefix) || path[len(prefix)] == '/')
}
