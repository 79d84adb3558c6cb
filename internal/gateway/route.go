package gateway

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"titrate/internal/rollout"
)

// route is one way to a workload, compiled: that of a path prefix alone, or of one
// method of a [rollout.Route].
type route struct {
	path           string // decoded; of a prefix without its trailing slash: "" is every path
	method         string // empty: any
	headers, query []field
	bound          bool // names the host it is under
	lane           *lane
	spec           *rollout.Route // nil: a path prefix alone
	rewrites       bool           // or changes nothing of the request
	changes        bool           // fields of the answer
}

// field is a header in lower case, or a parameter, with the value that it must have.
type field struct{ name, value string }

// routesOf compiles the routes of a workload, one for each method.
func routesOf(w Workload, l *lane) []route {
	var out []route
	for i := range w.Paths {
		s := &w.Paths[i]
		r := route{path: s.Path, lane: l, spec: s, headers: fieldsOf(s.Headers, true), query: fieldsOf(s.Query, false)}
		if plain, err := url.PathUnescape(s.Path); err == nil {
			r.path = plain
		}
		if !s.Exact {
			r.path = strings.TrimRight(r.path, "/")
		}
		r.rewrites = s.Rewrite != nil && (s.Rewrite.Prefix != nil || s.Rewrite.Host != "")
		r.changes = s.ResponseHeaders != nil
		for _, m := range s.Methods {
			r.method = m
			out = append(out, r)
		}
		if len(s.Methods) == 0 {
			out = append(out, r)
		}
	}
	return out
}

func fieldsOf(m map[string]string, lower bool) (out []field) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, field{either(lower, strings.ToLower(name), name), m[name]})
	}
	return out
}

// matches reports whether a request may take the route.
func (r *route) matches(q *query) bool {
	if r.method != "" && r.method != q.method {
		return false
	}
	if r.spec != nil && r.spec.Exact {
		if q.path != r.path {
			return false
		}
	} else if !under(q.path, r.path) {
		return false
	}
	for _, f := range r.headers {
		if q.head == nil || !q.head.has(f.name, f.value) {
			return false
		}
	}
	if len(r.query) == 0 {
		return true
	}
	if q.head == nil {
		return false
	}
	raw := q.head.rawQuery()
	for _, f := range r.query {
		if v, ok := parameter(raw, f.name); !ok || v != f.value {
			return false
		}
	}
	return true
}

// answers reports whether the gateway answers in place of the workload.
func (r *route) answers() bool {
	return r.spec != nil && (r.spec.Redirect != nil || r.spec.Maintenance != nil)
}

// narrow reports whether something beside the path decides.
func (r route) narrow() bool { return r.method != "" || len(r.headers)+len(r.query) > 0 }

// String is what a request must be, for people; of two equal ones one can never match.
func (r route) String() string {
	out := r.path
	if r.method != "" {
		out = r.method + " " + out
	}
	if r.spec == nil || !r.spec.Exact {
		out += "/"
	}
	for _, f := range r.headers {
		out += " " + f.name + ": " + f.value
	}
	for i, f := range r.query {
		out += either(i == 0, "?", "&") + url.QueryEscape(f.name) + "=" + url.QueryEscape(f.value)
	}
	return out
}

// parameter returns the first value that a raw query has for a name.
func parameter(raw, name string) (value string, ok bool) {
	for raw != "" {
		var part string
		part, raw, _ = strings.Cut(raw, "&")
		n, v, _ := strings.Cut(part, "=")
		if plainly(n) == name {
			return plainly(v), true
		}
	}
	return "", false
}

// plainly undoes the escapes of a query; what is none stays as it is.
func plainly(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}
