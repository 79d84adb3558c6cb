package gateway

import "strings"

// mostRoutes is how many routes of a workload have an account each (R29); what else is
// asked of it has one together.
const mostRoutes = 256

const (
	otherRoute = "other" // the route of what has no account of its own
	eventRoute = "event" // of what a function is called with otherwise than by a request
)

const (
	nameBytes    = 200 // of a route's name; a longer path is cut
	nameSegments = 8   // of its path
)

// appendRouteName adds the name of the route that a request is counted by (R29): its method
// and its path, with {id} in place of each segment that looks like the name of one thing
// among many, and … in place of what is too long. The name is printable ASCII but for the …,
// whatever the path is.
func appendRouteName(out []byte, method, path string) []byte {
	out = append(append(out, countedMethod(method)...), ' ', '/')
	from := len(out)
	path = strings.TrimPrefix(path, "/")
	for n := 0; path != ""; n++ {
		segment, rest, more := strings.Cut(path, "/")
		if n > 0 {
			out = append(out, '/')
		}
		if n == nameSegments || len(out)-from+len(segment) > nameBytes && !namesOne(segment) {
			return append(out, "…"...)
		}
		if namesOne(segment) {
			out = append(out, "{id}"...)
		} else {
			out = append(out, segment...)
		}
		if path = rest; more && rest == "" {
			out = append(out, '/')
		}
	}
	return out
}

// countedMethod is the method of a route: anybody may make up others.
func countedMethod(m string) string {
	switch m {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE":
		return m
	}
	return "OTHER"
}

// namesOne reports whether a segment looks like one thing's name: a number, a UUID or
// another number in hexadecimal, what is long and has digits, or what is no plain word.
func namesOne(segment string) bool {
	digits, hex := 0, 0
	for _, c := range []byte(segment) {
		switch {
		case c >= '0' && c <= '9':
			digits++
			hex++
		case c >= 'a' && c <= 'f', c >= 'A' && c <= 'F', c == '-':
			hex++
		case c >= 'g' && c <= 'z', c >= 'G' && c <= 'Z', c == '_', c == '.', c == '~':
		default:
			return true // an address, a search, another script
		}
	}
	return digits > 0 && (digits == len(segment) || hex == len(segment) && len(segment) >= 8 || len(segment) >= 20) || len(segment) > 64
}
