package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"titrate/internal/rollout"
)

// routesBlock is the routes beside route.
func (s Service) routesBlock() string {
	if len(s.Routes) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("routes:\n")
	for _, r := range s.Routes {
		fmt.Fprintf(&b, "  - %s\n", writeRoute(r))
	}
	return b.String()
}

func writeRoute(r rollout.Route) string {
	rewrite, redirect, changes, maintenance, timeout := "", "", "", "", ""
	if w := r.Rewrite; w != nil {
		rewrite = flow(field{"prefix", writePath(w.Prefix)}, field{"host", optional(w.Host)})
	}
	if d := r.Redirect; d != nil {
		redirect = flow(field{"scheme", d.Scheme}, field{"host", optional(d.Host)}, field{"path", optional(d.Path)}, field{"prefix", writePath(d.Prefix)}, field{"status", strconv.Itoa(d.Status)})
	}
	if c := r.ResponseHeaders; c != nil {
		changes = flow(field{"remove", listed(c.Remove)}, field{"set", writePairs(c.Set)}, field{"add", writePairs(c.Add)})
	}
	if r.Maintenance != nil {
		maintenance = writeMaintenance(r.Maintenance)
	}
	if r.Timeout > 0 {
		timeout = FormatDuration(r.Timeout)
	}
	return flow(field{"path", scalar(r.Path)}, field{"exact", either(r.Exact, "true", "")}, field{"methods", listed(r.Methods)},
		field{"headers", writePairs(r.Headers)}, field{"query", writePairs(r.Query)}, field{"rewrite", rewrite}, field{"redirect", redirect},
		field{"maintenance", maintenance}, field{"timeout", timeout}, field{"responseHeaders", changes})
}

// matchBlock is what is sent to a candidate.
func (s Service) matchBlock() string {
	if len(s.Match) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("match:\n")
	for _, m := range s.Match {
		header, cookie := m.Header, m.Cookie
		switch {
		case m.Value != "" && header != "":
			header += ": " + m.Value
		case m.Value != "":
			cookie += "=" + m.Value
		}
		fmt.Fprintf(&b, "  - %s\n", flow(field{"header", optional(header)}, field{"cookie", optional(cookie)}, field{"share", percent(m.Share)}, field{"apart", strconv.FormatBool(m.Apart)}))
	}
	return b.String()
}

func writeMaintenance(m *rollout.Maintenance) string {
	switch {
	case m == nil:
		return ""
	case *m == (rollout.Maintenance{}):
		return "true"
	}
	return flow(field{"page", optional(m.Page)}, field{"retryAfter", FormatDuration(m.RetryAfter)})
}

func writePath(p *string) string {
	if p == nil {
		return ""
	}
	return scalar(*p)
}

func writePairs(m map[string]string) string {
	var all []field
	for _, name := range slices.Sorted(maps.Keys(m)) {
		all = append(all, field{scalar(name), scalar(m[name])})
	}
	if len(all) == 0 {
		return ""
	}
	return flow(all...)
}

// listed is a list, or nothing.
func listed(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return flowList(all)
}
