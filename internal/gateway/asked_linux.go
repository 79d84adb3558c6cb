package gateway

import (
	"strings"

	"titrate/internal/http1"
)

// loopHead is the head of a request of the loops.
type loopHead http1.Request

func (h *loopHead) request() *http1.Request { return (*http1.Request)(h) }
func (h *loopHead) rawQuery() string        { return string(h.Query) }

func (h *loopHead) values(name string) (out []string) {
	r := h.request()
	for i := range r.Len() {
		if n, v := r.At(i); asciiFold(n, name) {
			out = append(out, string(v))
		}
	}
	return out
}

func (h *loopHead) has(name, value string) bool {
	r, at := h.request(), -1
	for i := range r.Len() {
		n, _ := r.At(i)
		if !asciiFold(n, name) {
			continue
		}
		if at >= 0 {
			return strings.Join(h.values(name), ", ") == value
		}
		at = i
	}
	if at < 0 {
		return false
	}
	_, v := r.At(at)
	return string(v) == value
}
