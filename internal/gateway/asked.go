package gateway

import (
	"net/http"
	"strings"
)

// head is what an arrival's request says beside its line. It is looked at only where a
// route or a match asks, so that nothing is made of it for others.
type head interface {
	// has reports whether a header, named in lower case, has a value: several lines are
	// one list (RFC 9110, 5.3).
	has(name, value string) bool
	// values are a header's lines.
	values(name string) []string
	rawQuery() string
}

// netHead is the head of a request of net/http.
type netHead http.Request

func (h *netHead) values(name string) []string { return h.Header.Values(name) }
func (h *netHead) rawQuery() string            { return h.URL.RawQuery }

func (h *netHead) has(name, value string) bool {
	switch vs := h.Header.Values(name); len(vs) {
	case 0:
		return false
	case 1:
		return vs[0] == value
	default:
		return strings.Join(vs, ", ") == value
	}
}
