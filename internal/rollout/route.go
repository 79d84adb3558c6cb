package rollout

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Route is one way by which requests reach a service, beside its host, and what becomes
// of them on it. Which of several takes a request is decided as the Gateway API has it
// for its HTTPRoute. It is the workload's, not a version's: a changed one takes effect
// without a rollout.
type Route struct {
	Path    string            `json:"path"`              // a prefix, on whole segments
	Exact   bool              `json:"exact,omitempty"`   // Path is all of the request's path
	Methods []string          `json:"methods,omitempty"` // one of them; empty: any
	Headers map[string]string `json:"headers,omitempty"` // all of them, by name
	Query   map[string]string `json:"query,omitempty"`   // all of these parameters, by name

	Rewrite         *Rewrite      `json:"rewrite,omitempty"`
	Redirect        *Redirect     `json:"redirect,omitempty"` // the service is not asked
	Maintenance     *Maintenance  `json:"maintenance,omitempty"`
	Timeout         time.Duration `json:"timeout,omitempty"`          // from the request's end to the answer's head; 0: the gateway's own
	ResponseHeaders *HeaderChange `json:"response_headers,omitempty"` // of what the service answers
}

// Rewrite is what the service sees in place of what the client has asked for.
type Rewrite struct {
	// Prefix stands in place of the route's path; nil: the path stays.
	Prefix *string `json:"prefix,omitempty"`
	Host   string  `json:"host,omitempty"` // empty: as it came
}

// Redirect is an answer that sends the client elsewhere. The query goes with it.
type Redirect struct {
	Scheme string  `json:"scheme,omitempty"` // http or https; empty: as it came
	Host   string  `json:"host,omitempty"`   // empty: as it came
	Path   string  `json:"path,omitempty"`   // in place of the whole path; empty: as it came
	Prefix *string `json:"prefix,omitempty"` // in place of the route's path; nil: as it came
	Status int     `json:"status"`           // 301, 302, 307 or 308
}

// Maintenance is an answer in place of a service that is not to be asked: 503.
type Maintenance struct {
	Page       string        `json:"page,omitempty"`        // HTML; empty: one of the gateway's own
	RetryAfter time.Duration `json:"retry_after,omitempty"` // in whole seconds; 0: nothing is said of it
}

// HeaderChange is done to the fields of an answer's head, in this order.
type HeaderChange struct {
	Remove []string          `json:"remove,omitempty"`
	Set    map[string]string `json:"set,omitempty"` // in place of those of the name
	Add    map[string]string `json:"add,omitempty"` // beside those of the name
}

// Match sends requests to the version that a rollout tries, past the draw, while that
// version and the stable one both have a part of the traffic. Of several the first that a
// request meets decides.
type Match struct {
	// Header or Cookie is the name of what the request carries; one of them is empty.
	Header string `json:"header,omitempty"`
	Cookie string `json:"cookie,omitempty"`
	Value  string `json:"value,omitempty"` // empty: any
	// Share is how much of those requests goes there; the rest goes to the stable version.
	// Without a Value they are told apart by the value that they carry, and each goes where
	// it went before: a larger share takes no request back (R16). With one, each is drawn.
	Share Weight `json:"share"`
	// Apart keeps them out of the windows that versions are judged by.
	Apart bool `json:"apart,omitempty"`
}

// Validate says what of a route cannot be.
func (r Route) Validate() error {
	switch {
	case !strings.HasPrefix(r.Path, "/") || strings.ContainsAny(r.Path, "?# \r\n"):
		return errors.New("its path does not begin with a slash, or holds a query")
	case r.Redirect != nil && r.Maintenance != nil, r.Redirect != nil && r.Rewrite != nil:
		return errors.New("a redirect stands beside what it makes useless")
	case r.Timeout < 0:
		return errors.New("its timeout is negative")
	}
	if d := r.Redirect; d != nil {
		switch d.Status {
		case 301, 302, 307, 308:
		default:
			return fmt.Errorf("%d is no status of a redirect", d.Status)
		}
	}
	return nil
}

// Validate says what of a match cannot be.
func (m Match) Validate() error {
	switch {
	case (m.Header == "") == (m.Cookie == ""):
		return errors.New("a match names a header or a cookie")
	case m.Share < 0 || m.Share > Full:
		return fmt.Errorf("the share of a match is %s", m.Share)
	}
	return nil
}

// Claims are what requests must be for the route, one for each method, as people write
// it. Two routes of one host that have one in common can never both match: the paths of
// a prefix end with a slash.
func (r Route) Claims() []string {
	out := r.Path
	if !r.Exact {
		out = strings.TrimRight(out, "/") + "/"
	}
	for _, name := range slices.SortedFunc(maps.Keys(r.Headers), func(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) }) {
		out += " " + strings.ToLower(name) + ": " + r.Headers[name]
	}
	for i, name := range slices.Sorted(maps.Keys(r.Query)) {
		out += map[bool]string{true: "?", false: "&"}[i == 0] + url.QueryEscape(name) + "=" + url.QueryEscape(r.Query[name])
	}
	if len(r.Methods) == 0 {
		return []string{out}
	}
	var all []string
	for _, m := range r.Methods {
		all = append(all, m+" "+out)
	}
	return all
}
