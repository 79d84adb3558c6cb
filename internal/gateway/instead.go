package gateway

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"titrate/internal/rollout"
)

// instead is the answer that a request gets in place of the workload's: that of a
// redirect, or of maintenance; nil: there is none.
func (w way) instead(a arrival) *refusal {
	m := w.lane.maintenance
	if w.route != nil {
		if d := w.route.spec.Redirect; d != nil {
			if to, ok := w.route.location(d, a); ok {
				return &refusal{status: d.Status, reason: "it is at " + to, location: to}
			}
		}
		if w.route.spec.Maintenance != nil {
			m = w.route.spec.Maintenance
		}
	}
	if m == nil {
		return nil
	}
	page := m.Page
	if page == "" {
		page = maintenancePage
	}
	return &refusal{status: http.StatusServiceUnavailable, reason: "this is under maintenance", page: page, closed: true, retry: m.RetryAfter}
}

// maintenancePage is for whoever has written none.
const maintenancePage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Under maintenance</title>
<style>body{font:16px/1.5 system-ui,sans-serif;margin:20vh auto 0;max-width:30rem;padding:0 1rem}</style>
<h1>Under maintenance</h1>
<p>This page will be back soon.</p>
</html>
`

// retryAfter is the value of a refusal's Retry-After (RFC 9110, 10.2.3); empty: nothing is
// said of it.
func (r refusal) retryAfter() string {
	switch {
	case r.status != http.StatusServiceUnavailable:
		return ""
	case !r.closed:
		return "1"
	case r.retry <= 0:
		return ""
	}
	return strconv.FormatInt(int64((r.retry+time.Second-1)/time.Second), 10)
}

// content is the body of a refusal, and its media type.
func (r refusal) content(id string) (kind string, body []byte) {
	if r.page != "" {
		return "text/html; charset=utf-8", []byte(r.page)
	}
	return "application/problem+json", replyBody(id, r)
}

// location is where a redirect sends an arrival; false where it is there already, which
// nothing would ever end. It is always a whole URI: a path that begins with two slashes
// must not be taken for a host.
func (r *route) location(d *rollout.Redirect, a arrival) (string, bool) {
	scheme := either(a.secure, "https", "http")
	here := url.URL{Scheme: scheme, Host: a.host}
	there := here
	if d.Scheme != "" {
		there.Scheme = d.Scheme
	}
	name, port, err := net.SplitHostPort(a.host)
	if err != nil {
		name, port = strings.Trim(a.host, "[]"), ""
	}
	if d.Host != "" {
		name = d.Host
	}
	if there.Scheme != scheme { // by that scheme's own port
		port = ""
	}
	if there.Host = name; port != "" {
		there.Host = net.JoinHostPort(name, port)
	} else if strings.Contains(name, ":") {
		there.Host = "[" + name + "]"
	}
	path := a.escaped()
	to := path
	switch {
	case d.Path != "":
		to = d.Path
	case d.Prefix != nil:
		to = r.put(*d.Prefix, a)
	}
	if to == path && there.Scheme == here.Scheme && strings.EqualFold(there.Host, here.Host) {
		return "", false
	}
	out := there.Scheme + "://" + there.Host + to
	if a.head != nil {
		if q := a.head.rawQuery(); q != "" {
			out += "?" + q
		}
	}
	return out, true
}

// escaped is the path of an arrival as it came.
func (a arrival) escaped() string {
	if a.raw != "" {
		return a.raw
	}
	return (&url.URL{Path: a.path}).EscapedPath()
}

// put returns the escaped path of an arrival with another prefix in place of the route's;
// of an exact route, which leaves nothing, that prefix alone.
func (r *route) put(prefix string, a arrival) string {
	rest := a.escaped()
	for n := len(r.path); n > 0 && rest != ""; n-- {
		if rest[0] == '%' && len(rest) > 2 {
			rest = rest[2:]
		}
		rest = rest[1:]
	}
	prefix = strings.TrimRight(prefix, "/")
	if prefix == "" && rest == "" {
		return "/"
	}
	return prefix + rest
}

// rewritten is the escaped path by which the workload is asked; empty: as it came.
func (r *route) rewritten(a arrival) string {
	if r == nil || !r.rewrites || r.spec.Rewrite.Prefix == nil {
		return ""
	}
	return r.put(*r.spec.Rewrite.Prefix, a)
}

// asHost is the host by which the workload is asked; empty: as it came.
func (r *route) asHost() string {
	if r == nil || !r.rewrites {
		return ""
	}
	return r.spec.Rewrite.Host
}

// timeout is how long the workload may take until its answer's head; 0: nothing is said
// of it.
func (r *route) timeout() time.Duration {
	if r == nil || r.spec == nil {
		return 0
	}
	return r.spec.Timeout
}

// change does to the fields of an answer what the route says.
func (r *route) change(h http.Header) {
	if r == nil || !r.changes {
		return
	}
	c := r.spec.ResponseHeaders
	for _, name := range c.Remove {
		h.Del(name)
	}
	for name, value := range c.Set {
		h.Set(name, value)
	}
	for name, value := range c.Add {
		h.Add(name, value)
	}
}

// drops reports whether the route takes an answer's field out, or sets it anew.
func (r *route) drops(name string) bool {
	for _, n := range r.spec.ResponseHeaders.Remove {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	for n := range r.spec.ResponseHeaders.Set {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}
