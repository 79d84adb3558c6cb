package gateway

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// routes finds the workload of a public request. An exact path wins over a pattern that
// matches in full, that over path prefixes, and those over a greedy pattern and $default.
// The longest path prefix wins; of equal paths, as the Gateway API has it for HTTPRoute,
// the route that names a method, then the one with the most headers, then the one with
// the most parameters; of those, and of equal patterns, the one that names the host; then
// the one that came first.
//
// The host comes before all that: an exact one before a wildcard ("*.shop.example", which
// takes the names below it, but not itself), a longer wildcard before a shorter one. What
// a host's own routes leave is for the wildcards of the same environment.
//
// On a host that some app's environment names, routes without a host count only
// if they are of such an environment: else one app's "/api" would take the
// requests of every other app's host.
type routes struct {
	hosts    map[string]*site
	wild     map[string]*site // by what the star stands before: ".shop.example"
	anywhere *site            // for hosts that nobody names
}

// site is what is routed on one host.
type site struct {
	exact    map[string][]route // by path
	prefixes []route
	patterns patterns
	below    []*site // what takes the requests that nothing here matches
}

// owner is an environment of an app: what may share a host.
type owner struct{ app, env string }

// newRoutes compiles the routes of workloads, whose lanes are in the same order.
// The claims that lost are returned as sentences.
func newRoutes(ws []Workload, lanes []*lane) (routes, []string) {
	r := routes{hosts: map[string]*site{}, wild: map[string]*site{}, anywhere: &site{}}
	owners := map[string]map[owner]bool{}
	for _, w := range ws {
		for _, h := range hostsOf(w) {
			if owners[h] == nil {
				owners[h] = map[owner]bool{}
			}
			owners[h][owner{w.Key.App, w.Key.Env}] = true
		}
	}
	var lost []string
	for i, w := range ws {
		if len(hostsOf(w)) == 0 {
			r.anywhere.add(w, lanes[i], false)
		}
	}
	lost = append(lost, r.anywhere.order("any host")...)
	for h, of := range owners {
		s := &site{}
		for i, w := range ws {
			named := hostsOf(w)
			switch bound := slices.Contains(named, h); {
			case bound, len(named) == 0 && of[owner{w.Key.App, w.Key.Env}]:
				s.add(w, lanes[i], bound)
			}
		}
		lost = append(lost, s.order(h)...)
		for _, wider := range wildcardsAbove(h, owners) {
			b := &site{}
			for i, w := range ws {
				if of[owner{w.Key.App, w.Key.Env}] && slices.Contains(hostsOf(w), wider) {
					b.add(w, lanes[i], true)
				}
			}
			b.order(wider) // what it loses is told of the wildcard itself
			s.below = append(s.below, b)
		}
		if suffix, ok := wildcard(h); ok {
			r.wild[suffix] = s
		} else {
			r.hosts[h] = s
		}
	}
	slices.Sort(lost)
	return r, lost
}

// wildcard returns what the star of a wildcard host stands before, with its dot.
func wildcard(host string) (suffix string, ok bool) {
	suffix, ok = strings.CutPrefix(host, "*")
	return suffix, ok && strings.HasPrefix(suffix, ".")
}

// wildcardsAbove are the wildcards that take a host too, the longest first.
func wildcardsAbove(host string, all map[string]map[owner]bool) []string {
	var out []string
	for h := range all {
		if suffix, ok := wildcard(h); ok && h != host && strings.HasSuffix(host, suffix) {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return out
}

// add routes what a workload claims of a site.
func (s *site) add(w Workload, l *lane, bound bool) {
	for _, p := range prefixesOf(w) {
		s.prefixes = append(s.prefixes, route{path: p, bound: bound, lane: l})
	}
	if w.Worker {
		return
	}
	for _, c := range routesOf(w, l) {
		if c.bound = bound; c.spec.Exact {
			if s.exact == nil {
				s.exact = map[string][]route{}
			}
			s.exact[c.path] = append(s.exact[c.path], c)
		} else {
			s.prefixes = append(s.prefixes, c)
		}
	}
	for _, p := range w.Patterns {
		s.patterns.add(claim{key: p, bound: bound, lane: l})
	}
}

// order makes the first claim that matches the one that wins, and says which can never.
func (s *site) order(host string) (lost []string) {
	for _, rs := range s.exact {
		lost = append(lost, order(host, rs)...)
	}
	lost = append(lost, order(host, s.prefixes)...)
	return append(lost, s.patterns.order(host, slices.DeleteFunc(slices.Clone(s.prefixes), route.narrow))...)
}

// hostsOf returns the normal form of a workload's hosts, each once.
func hostsOf(w Workload) []string {
	if w.Worker {
		return nil
	}
	var hosts []string
	for _, h := range w.Hosts {
		if n, ok := hostPattern(h); ok && !slices.Contains(hosts, n) {
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
	if len(w.Routes)+len(w.Paths)+len(w.Patterns) == 0 && len(w.Hosts) > 0 {
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
		return cmp.Or(cmp.Compare(len(b.path), len(a.path)), cmp.Compare(rank(a.method != ""), rank(b.method != "")),
			cmp.Compare(len(b.headers), len(a.headers)), cmp.Compare(len(b.query), len(a.query)), cmp.Compare(rank(a.bound), rank(b.bound)))
	})
	won := map[string]route{}
	for _, r := range rs {
		key := r.String()
		w, taken := won[key]
		if !taken {
			won[key] = r
		} else if w.bound == r.bound {
			lost = append(lost, fmt.Sprintf("route %s on %s of %s is taken by %s", key, host, r.lane.key, w.lane.key))
		}
	}
	return lost
}

// lookup returns the lane of an arrival for a host name in normal form, nil when there is
// none, and the route that led there where that is one of [rollout.Route]. A workload
// whose first version is not there yet leaves its place to the next that fits: a new
// service takes nothing before it can answer.
func (r routes) lookup(host string, a arrival) (*lane, *route) {
	s := r.on(host)
	q := query{arrival: a, escaped: a.raw != ""}
	path := a.path
	if q.escaped {
		path = a.raw
	}
	path, rooted := strings.CutPrefix(path, "/")
	rooted = rooted || path == ""
	if l := s.find(&q, path, rooted); l != nil {
		return l, q.route
	}
	for _, b := range s.below {
		if l := b.find(&q, path, rooted); l != nil {
			return l, q.route
		}
	}
	if rooted && a.wants != "" && q.first == nil {
		// Nobody takes the method: whoever has the path says so by its rules on CORS.
		q.any = true
		if l := s.patterns.root.full(&q, path, true); l != nil {
			return l, nil
		}
		if l := s.patterns.root.longest(&q, path, true); l != nil {
			return l, nil
		}
	}
	return q.first, nil
}

// on is the site of a host name.
func (r routes) on(host string) *site {
	if s, ok := r.hosts[host]; ok {
		return s
	}
	if len(r.wild) > 0 {
		for at := strings.IndexByte(host, '.'); at >= 0; {
			if s, ok := r.wild[host[at:]]; ok && at > 0 {
				return s
			}
			next := strings.IndexByte(host[at+1:], '.')
			if next < 0 {
				break
			}
			at += 1 + next
		}
	}
	return r.anywhere
}

// find returns the lane of what matches here. path is without its slash, if it is rooted.
func (s *site) find(q *query, path string, rooted bool) *lane {
	if len(s.exact) > 0 {
		if l := q.among(s.exact[q.path]); l != nil {
			return l
		}
	}
	if rooted {
		if l := s.patterns.root.full(q, path, true); l != nil {
			return l
		}
	}
	if l := q.among(s.prefixes); l != nil {
		return l
	}
	if !rooted {
		return nil
	}
	if l := s.patterns.root.longest(q, path, true); l != nil {
		return l
	}
	return q.take(s.patterns.fallback)
}

// among returns the lane of the first route that matches.
func (q *query) among(rs []route) *lane {
	for i := range rs {
		c := &rs[i]
		if !c.matches(q) {
			continue
		}
		if c.answers() {
			q.route = c
			return c.lane
		}
		if l := q.try(c.lane); l != nil {
			if c.spec != nil {
				q.route = c
			}
			return l
		}
	}
	return nil
}

// under reports whether path is prefix or below it, on whole segments.
func under(path, prefix string) bool {
	return strings.HasPrefix(path, prefix) && (len(path) == len(prefix) || path[len(prefix)] == '/')
}
