package httpevent

import (
	"fmt"
	"net/url"
	"strings"
)

// Route leads requests to a function. Key is API Gateway's route key
// ("GET /pickups/{id}", "ANY /{proxy+}", "$default"); Place is where the route
// was written, for errors.
type Route struct {
	Key      string
	Function string
	Place    string
}

// Match is the route of a request. Key is as written, Path its path part.
type Match struct {
	Key        string
	Path       string
	Function   string
	Parameters map[string]string // nil without parameters
}

// Router finds the route of a request. It does not change once made.
type Router struct {
	root     *branch
	fallback *Route
}

type branch struct {
	fixed  map[string]*branch
	param  *branch
	ends   map[string]end // by method
	greedy map[string]end // by method
}

type end struct {
	route Route
	path  string
	names []string
}

// NewRouter makes a router, or says which key is malformed or which two
// routes would take the same requests, and where both were written.
func NewRouter(routes []Route) (*Router, error) {
	r := &Router{root: &branch{}}
	for _, route := range routes {
		if err := r.add(route); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *Router) add(route Route) error {
	if route.Key == "$default" {
		if r.fallback != nil {
			return duplicate(*r.fallback, route)
		}
		r.fallback = &route
		return nil
	}
	method, path, ok := strings.Cut(route.Key, " ")
	if !ok || !methodKnown(method) || !strings.HasPrefix(path, "/") {
		return fmt.Errorf("%s: route %q is not valid: write METHOD /path, such as GET /pickups/{id}, or $default", route.Place, route.Key)
	}
	at, names, seen := r.root, []string(nil), map[string]bool{}
	parts := split(path)
	for i, part := range parts {
		name, greedy, isParam, err := parameter(part)
		if err != nil {
			return fmt.Errorf("%s: route %q: %w", route.Place, route.Key, err)
		}
		if !isParam {
			at = at.step(part)
			continue
		}
		if seen[name] {
			return fmt.Errorf("%s: route %q names {%s} twice: give each parameter its own name", route.Place, route.Key, name)
		}
		seen[name] = true
		names = append(names, name)
		if greedy {
			if i != len(parts)-1 {
				return fmt.Errorf("%s: route %q has parts behind {%s+}: a greedy parameter must be the last", route.Place, route.Key, name)
			}
			return put(&at.greedy, method, end{route, path, names})
		}
		if at.param == nil {
			at.param = &branch{}
		}
		at = at.param
	}
	return put(&at.ends, method, end{route, path, names})
}

func put(ends *map[string]end, method string, e end) error {
	if old, ok := (*ends)[method]; ok {
		return duplicate(old.route, e.route)
	}
	if *ends == nil {
		*ends = map[string]end{}
	}
	(*ends)[method] = e
	return nil
}

func duplicate(a, b Route) error {
	return fmt.Errorf("route %q of %s takes the same requests as %q of %s: remove or change one", b.Key, b.Place, a.Key, a.Place)
}

func (b *branch) step(part string) *branch {
	if b.fixed == nil {
		b.fixed = map[string]*branch{}
	}
	if b.fixed[part] == nil {
		b.fixed[part] = &branch{}
	}
	return b.fixed[part]
}

// Match finds the route for a method and an escaped path: a full match first,
// then the longest greedy one, then $default. Fixed parts win over parameters and a
// named method over ANY.
func (r *Router) Match(method, escapedPath string) (Match, bool) {
	parts := split(escapedPath)
	for i, part := range parts {
		if plain, err := url.PathUnescape(part); err == nil {
			parts[i] = plain
		}
	}
	e, values, ok := r.root.full(method, parts, nil)
	if !ok {
		e, values, ok = r.root.longest(method, parts, nil)
	}
	if ok {
		m := Match{Key: e.route.Key, Path: e.path, Function: e.route.Function}
		for i, name := range e.names {
			if m.Parameters == nil {
				m.Parameters = map[string]string{}
			}
			m.Parameters[name] = values[i]
		}
		return m, true
	}
	if r.fallback != nil {
		return Match{Key: "$default", Path: "$default", Function: r.fallback.Function}, true
	}
	return Match{}, false
}

func (b *branch) full(method string, parts, values []string) (end, []string, bool) {
	if len(parts) == 0 {
		e, ok := choose(b.ends, method)
		return e, values, ok
	}
	if next := b.fixed[parts[0]]; next != nil {
		if e, v, ok := next.full(method, parts[1:], values); ok {
			return e, v, true
		}
	}
	if b.param != nil && parts[0] != "" {
		return b.param.full(method, parts[1:], append(values[:len(values):len(values)], parts[0]))
	}
	return end{}, nil, false
}

func (b *branch) longest(method string, parts, values []string) (end, []string, bool) {
	if len(parts) == 0 {
		return end{}, nil, false
	}
	if next := b.fixed[parts[0]]; next != nil {
		if e, v, ok := next.longest(method, parts[1:], values); ok {
			return e, v, true
		}
	}
	if b.param != nil && parts[0] != "" {
		if e, v, ok := b.param.longest(method, parts[1:], append(values[:len(values):len(values)], parts[0])); ok {
			return e, v, true
		}
	}
	e, ok := choose(b.greedy, method)
	return e, append(values[:len(values):len(values)], strings.Join(parts, "/")), ok
}

func choose(ends map[string]end, method string) (end, bool) {
	if e, ok := ends[method]; ok {
		return e, true
	}
	e, ok := ends["ANY"]
	return e, ok
}

func methodKnown(method string) bool {
	switch method {
	case "ANY", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return true
	}
	return false
}

// split cuts a path into its parts. "/" has one empty part.
func split(path string) []string { return strings.Split(strings.TrimPrefix(path, "/"), "/") }

// parameter reads {name} and {name+}.
func parameter(part string) (name string, greedy, ok bool, err error) {
	if !strings.ContainsAny(part, "{}") {
		return "", false, false, nil
	}
	inner, found := strings.CutPrefix(part, "{")
	inner, closed := strings.CutSuffix(inner, "}")
	inner, greedy = strings.CutSuffix(inner, "+")
	if !found || !closed || inner == "" || strings.ContainsAny(inner, "{}+") {
		return "", false, false, fmt.Errorf("part %q is not valid: a parameter is a whole part, {name} or {name+}", part)
	}
	return inner, greedy, true, nil
}
