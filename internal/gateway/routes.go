package gateway

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// routes finds the workload of a public request. The longest path prefix wins; of
// equally long ones the one that names the host; then the one that came first.
//
// On a host that some app's environment names, routes without a host count only
// if they are of such an environment: else one app's "/api" would take the
// requests of every other app's host.
type routes struct {
	hosts    map[string][]route
	anywhere []route // for hosts that nobody names
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
	r := routes{hosts: map[string][]route{}}
	owners := map[string]map[owner]bool{}
	for _, w := range ws {
		for _, h := range hostsOf(w) {
			if owners[h] == nil {
				owners[h] = map[owner]bool{}
			}
			owners[h][owner{w.Key.App, w.Key.Env}] = true
		}
	}
	for i, w := range ws {
		hosts := hostsOf(w)
		for _, p := range prefixesOf(w) {
			for _, h := range hosts {
				r.hosts[h] = append(r.hosts[h], route{prefix: p, bound: true, lane: lanes[i]})
			}
			if len(hosts) > 0 {
				continue
			}
			r.anywhere = append(r.anywhere, route{prefix: p, lane: lanes[i]})
			for h, of := range owners {
				if of[owner{w.Key.App, w.Key.Env}] {
					r.hosts[h] = append(r.hosts[h], route{prefix: p, lane: lanes[i]})
				}
			}
		}
	}
	lost := order("any host", r.anywhere)
	for h, rs := range r.hosts {
		lost = append(lost, order(h, rs)...)
	}
	slices.Sort(lost)
	return r, lost
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
// paths for one that names hosts only, none for one that names neither.
func prefixesOf(w Workload) []string {
	if w.Worker {
		return nil
	}
	if len(w.Routes) == 0 && len(w.Hosts) > 0 {
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

// find returns the lane for a host name in normal form and a decoded path, nil
// when there is none. A workload whose first version is not there yet leaves its
// place to the next that fits: a new service takes nothing before it can answer.
func (r routes) find(host, path string) *lane {
	rs, ok := r.hosts[host]
	if !ok {
		rs = r.anywhere
	}
	var first *lane
	for _, c := range rs {
		if !under(path, c.prefix) {
			continue
		}
		if c.lane.split != nil {
			return c.lane
		}
		if first == nil {
			first = c.lane
		}
	}
	return first
}

// under reports whether path is prefix or below it, on whole segments.
func under(path, prefix string) bool {
	return strings.HasPrefix(path, prefix) && (len(path) == len(prefix) || path[len(prefix)] == '/')
}
