package gateway

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"titrate/internal/httpevent"
)

// patterns finds the workload of a request by its method and path, as API Gateway's
// HTTP APIs do ("Create routes for HTTP APIs in API Gateway"): a full match before a
// greedy one, fixed parts before parameters, a named method before ANY, $default last.
// Each step of a path is one look into a map, however many patterns there are.
type patterns struct {
	root     branch
	fallback []claim
}

// branch is what all patterns that begin alike go on with.
type branch struct {
	fixed        map[string]*branch
	param        *branch
	ends, greedy []end
}

// end is where patterns of one method end.
type end struct {
	method string
	claims []claim // the first that has a version is the one that is asked
}

// claim is a workload's pattern at its place.
type claim struct {
	key   string // as it was written
	stem  string // of a greedy one: the fixed path above all that it takes
	bound bool   // names the host it is under
	lane  *lane
}

// validPattern reports what no route key can be.
func validPattern(key string) error {
	_, err := httpevent.NewRouter([]httpevent.Route{{Key: key, Place: "patterns"}})
	return err //nolint:wrapcheck // it says all there is to say
}

// add puts a valid pattern in.
func (p *patterns) add(c claim) {
	if c.key == "$default" {
		p.fallback = append(p.fallback, c)
		return
	}
	method, path, _ := strings.Cut(c.key, " ")
	at, fixed := &p.root, true
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		switch {
		case strings.HasSuffix(part, "+}"):
			at.greedy = put(at.greedy, method, c)
			return
		case strings.HasPrefix(part, "{"):
			fixed = false
			if at.param == nil {
				at.param = &branch{}
			}
			at = at.param
		default:
			if fixed {
				c.stem += "/" + part
			}
			at = at.step(part)
		}
	}
	at.ends = put(at.ends, method, c)
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

func put(es []end, method string, c claim) []end {
	i := slices.IndexFunc(es, func(e end) bool { return e.method == method })
	if i < 0 {
		return append(es, end{method, []claim{c}})
	}
	es[i].claims = append(es[i].claims, c)
	return es
}

// order puts the best claim of each place first, and says which can never be reached:
// because another workload has their place, or because a path prefix takes all that a
// greedy pattern or $default would.
func (p *patterns) order(host string, prefixes []route) (lost []string) {
	settle := func(cs []claim) {
		slices.SortStableFunc(cs, func(a, b claim) int { return cmp.Compare(rank(a.bound), rank(b.bound)) })
		for _, c := range cs[1:] {
			if c.bound == cs[0].bound && c.lane != cs[0].lane {
				lost = append(lost, fmt.Sprintf("route %s on %s of %s is taken by %s", c.key, host, c.lane.key, cs[0].lane.key))
			}
		}
	}
	covered := func(cs []claim) {
		c := cs[0]
		i := slices.IndexFunc(prefixes, func(r route) bool { return under(c.stem, r.path) })
		if i >= 0 && prefixes[i].lane != c.lane && (c.bound || !prefixes[i].bound) {
			lost = append(lost, fmt.Sprintf("route %s on %s of %s is taken by %s/ of %s", c.key, host, c.lane.key, prefixes[i].path, prefixes[i].lane.key))
		}
	}
	var walk func(b *branch)
	walk = func(b *branch) {
		for _, e := range b.ends {
			settle(e.claims)
		}
		for _, e := range b.greedy {
			settle(e.claims)
			covered(e.claims)
		}
		for _, next := range b.fixed {
			walk(next)
		}
		if b.param != nil {
			walk(b.param)
		}
	}
	walk(&p.root)
	if len(p.fallback) > 0 {
		settle(p.fallback)
		covered(p.fallback)
	}
	return lost
}

// rank puts what is so before what is not.
func rank(so bool) int { return either(so, 0, 1) }

func either[T any](yes bool, a, b T) T {
	if yes {
		return a
	}
	return b
}

// query is a request on its way to its workload.
type query struct {
	arrival
	escaped bool   // parts have to be decoded
	any     bool   // whatever the method
	first   *lane  // the best that has no version yet
	route   *route // that was taken; nil: one that does nothing but lead there
}

// take returns the lane that is to be asked, nil when none of the claims has a version.
func (q *query) take(cs []claim) *lane {
	for _, c := range cs {
		if l := q.try(c.lane); l != nil {
			return l
		}
	}
	return nil
}

// try returns a lane that can answer, and remembers the first that cannot: a new
// workload takes nothing before it can.
func (q *query) try(l *lane) *lane {
	if l.split != nil {
		return l
	}
	if q.first == nil {
		q.first = l
	}
	return nil
}

// choose returns the lane of the best method. A preflight is for the function whose
// rules on CORS it asks for: the one that the request it announces will reach.
func (q *query) choose(es []end) *lane {
	if len(es) == 0 {
		return nil
	}
	if q.any {
		for _, e := range es {
			if l := q.take(e.claims); l != nil {
				return l
			}
		}
		return nil
	}
	for _, method := range [...]string{q.method, q.wants, "ANY"} {
		for _, e := range es {
			if e.method != method {
				continue
			}
			if l := q.take(e.claims); l != nil {
				return l
			}
		}
	}
	return nil
}

// full returns the lane of a pattern that matches part by part. more is false when no
// part is left of the path.
func (b *branch) full(q *query, path string, more bool) *lane {
	if !more {
		return q.choose(b.ends)
	}
	part, rest, more := q.part(path)
	if next := b.fixed[part]; next != nil {
		if l := next.full(q, rest, more); l != nil {
			return l
		}
	}
	if b.param != nil && part != "" {
		return b.param.full(q, rest, more)
	}
	return nil
}

// longest returns the lane of the greedy pattern with the longest stem.
func (b *branch) longest(q *query, path string, more bool) *lane {
	if !more {
		return nil
	}
	part, rest, more := q.part(path)
	if next := b.fixed[part]; next != nil {
		if l := next.longest(q, rest, more); l != nil {
			return l
		}
	}
	if b.param != nil && part != "" {
		if l := b.param.longest(q, rest, more); l != nil {
			return l
		}
	}
	return q.choose(b.greedy)
}

// part takes the first part off a path.
func (q *query) part(path string) (part, rest string, more bool) {
	part, rest, more = strings.Cut(path, "/")
	if q.escaped {
		if plain, err := url.PathUnescape(part); err == nil {
			part = plain
		}
	}
	return part, rest, more
}
