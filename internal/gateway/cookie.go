package gateway

import (
	"net/textproto"
	"strings"
)

// cookieValue returns the first cookie of a name in the Cookie header's lines.
func cookieValue(lines []string, name string) string {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ";") {
			if n, v, ok := strings.Cut(textproto.TrimString(part), "="); ok && n == name {
				return v
			}
		}
	}
	return ""
}

// withoutCookie returns the lines without the cookies of a name, all others
// byte by byte as they were. A line that holds nothing else is dropped.
func withoutCookie(lines []string, name string) []string {
	out := make([]string, 0, len(lines))
	for _, line := range lines {
		if !strings.Contains(line, name) {
			out = append(out, line)
			continue
		}
		var kept []string
		for part := range strings.SplitSeq(line, ";") {
			if n, _, ok := strings.Cut(textproto.TrimString(part), "="); !ok || n != name {
				kept = append(kept, part)
			}
		}
		if rest := textproto.TrimString(strings.Join(kept, ";")); rest != "" {
			out = append(out, rest)
		}
	}
	return out
}

// queryValue returns the first parameter of a name in a raw query. Tokens need
// no escaping, so none is undone.
func queryValue(raw, name string) string {
	for part := range strings.SplitSeq(raw, "&") {
		if n, v, ok := strings.Cut(part, "="); ok && n == name {
			return v
		}
	}
	return ""
}

// withoutQuery returns a raw query without the parameters of a name, all others
// byte by byte as they were.
func withoutQuery(raw, name string) string {
	if !strings.Contains(raw, name) {
		return raw
	}
	var kept []string
	for part := range strings.SplitSeq(raw, "&") {
		if n, _, _ := strings.Cut(part, "="); n != name {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "&")
}
