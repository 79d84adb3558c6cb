package local

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"
)

// redacted stands where a secret's value stood.
var redacted = []byte("[secret]")

// Shorter values than this would be found everywhere.
const shortestSecret = 4

// redactor takes the values of secrets out of text: as they are, as JSON writes
// them, and each line of a value that has several (a key in PEM, say). More values
// may become known while it is used.
type redactor struct {
	mu     sync.RWMutex
	values [][]byte // longest first: one may hold another
}

func newRedactor(secrets map[string]string) *redactor {
	r := &redactor{}
	r.add(secrets)
	return r
}

func (r *redactor) add(secrets map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	add := func(v string) {
		if len(v) >= shortestSecret && !slices.ContainsFunc(r.values, func(b []byte) bool { return string(b) == v }) {
			r.values = append(r.values, []byte(v))
		}
	}
	for _, v := range secrets {
		add(v)
		if quoted, err := json.Marshal(v); err == nil {
			add(string(quoted[1 : len(quoted)-1]))
		}
		if strings.Contains(v, "\n") {
			for line := range strings.Lines(v) {
				if line = strings.TrimSpace(line); len(line) >= 8 { // "}" or "-----" are no secrets
					add(line)
				}
			}
		}
	}
	slices.SortFunc(r.values, func(a, b []byte) int { return len(b) - len(a) })
}

func (r *redactor) clean(text []byte) []byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, v := range r.values {
		if bytes.Contains(text, v) {
			text = bytes.ReplaceAll(text, v, redacted)
		}
	}
	return text
}

// open returns how many bytes at the end of text may be the beginning of a
// secret whose rest is still to come.
func (r *redactor) open(text []byte) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	longest := 0
	for _, v := range r.values {
		for n := min(len(v)-1, len(text)); n > longest; n-- {
			if bytes.HasSuffix(text, v[:n]) {
				longest = n
			}
		}
	}
	return longest
}

// cleanEnd is clean for a text that stops within a line: what may be the beginning
// of a secret is taken out too, because whoever reads on will not know it.
func (r *redactor) cleanEnd(text []byte) []byte {
	text = r.clean(text)
	if n := r.open(text); n >= shortestSecret {
		return append(bytes.Clone(text[:len(text)-n]), redacted...)
	}
	return text
}

// cleanStart takes what may be the end of a secret out of a text whose beginning
// somebody else has read.
func (r *redactor) cleanStart(text []byte) []byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	longest := 0
	for _, v := range r.values {
		for n := min(len(v)-1, len(text)); n > longest; n-- {
			if bytes.HasPrefix(text, v[len(v)-n:]) {
				longest = n
			}
		}
	}
	if longest >= shortestSecret {
		return append(bytes.Clone(redacted), text[longest:]...)
	}
	return text
}
