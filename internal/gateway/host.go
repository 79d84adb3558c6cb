package gateway

import (
	"net"
	"strings"
)

// hostName returns the host of a Host header: lower case, without port, trailing
// dot and brackets. It is false for what no host can be.
func hostName(s string) (string, bool) {
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 || !isPort(s[end+1:]) || net.ParseIP(s[1:end]) == nil {
			return "", false
		}
		return strings.ToLower(s[1:end]), true
	}
	if i := strings.IndexByte(s, ':'); i >= 0 {
		if !isPort(s[i:]) {
			return "", false
		}
		s = s[:i]
	}
	s = strings.ToLower(strings.TrimSuffix(s, "."))
	if s == "" || len(s) > 253 {
		return "", false
	}
	for _, c := range []byte(s) {
		if c != '-' && c != '.' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return "", false
		}
	}
	return s, true
}

// hostPattern is hostName, which may also be a wildcard: "*." before a name.
func hostPattern(s string) (string, bool) {
	if suffix, ok := wildcard(s); ok {
		n, ok := hostName(suffix[1:])
		return "*." + n, ok
	}
	return hostName(s)
}

// isPort reports whether s is empty or ":" and at most five digits.
func isPort(s string) bool {
	if s == "" {
		return true
	}
	if s[0] != ':' || len(s) > 6 {
		return false
	}
	for _, c := range []byte(s[1:]) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
