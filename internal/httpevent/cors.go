package httpevent

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CORS holds the rules of an HTTP API. "*" allows all; an origin may have the
// form "https://*".
type CORS struct {
	Origins     []string
	Methods     []string
	Headers     []string
	Expose      []string
	MaxAge      time.Duration
	Credentials bool
}

// Validate refuses what browsers refuse: credentials with an origin of "*".
func (c CORS) Validate() error {
	if c.Credentials && slices.Contains(c.Origins, "*") {
		return errors.New("CORS allows credentials and the origin \"*\", which browsers refuse: list the origins")
	}
	return nil
}

// Preflight answers a preflight request without a function; false when the
// request is none.
func (c CORS) Preflight(r *http.Request) (Answer, bool) {
	if r.Method != http.MethodOptions || r.Header.Get("Origin") == "" || r.Header.Get("Access-Control-Request-Method") == "" {
		return Answer{}, false
	}
	a := Answer{Status: http.StatusNoContent, Header: http.Header{}}
	if !c.origin(a.Header, r) {
		return a, true
	}
	set(a.Header, "Access-Control-Allow-Methods", c.Methods)
	set(a.Header, "Access-Control-Allow-Headers", c.Headers)
	if c.MaxAge > 0 {
		a.Header.Set("Access-Control-Max-Age", strconv.FormatInt(int64(c.MaxAge/time.Second), 10))
	}
	return a, true
}

// Apply puts the rules on an answer. As in HTTP APIs, CORS headers that the
// function sent itself are dropped.
func (c CORS) Apply(r *http.Request, h http.Header) {
	for name := range h {
		if strings.HasPrefix(http.CanonicalHeaderKey(name), "Access-Control-") {
			delete(h, name)
		}
	}
	if c.origin(h, r) {
		set(h, "Access-Control-Expose-Headers", c.Expose)
	}
}

// origin writes who may read the answer; false when the origin may not.
func (c CORS) origin(h http.Header, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if slices.Contains(c.Origins, "*") && !c.Credentials {
		if origin != "" {
			h.Set("Access-Control-Allow-Origin", "*")
		}
		return origin != ""
	}
	// The answer differs by origin, so caches must know, also of a refusal.
	h.Add("Vary", "Origin")
	if origin == "" || !slices.ContainsFunc(c.Origins, func(rule string) bool { return matches(rule, origin) }) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if c.Credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	return true
}

func matches(rule, origin string) bool {
	before, after, wild := strings.Cut(strings.ToLower(rule), "*")
	origin = strings.ToLower(origin)
	if !wild {
		return before == origin
	}
	return rule != "*" && len(origin) > len(before)+len(after) && strings.HasPrefix(origin, before) && strings.HasSuffix(origin, after)
}

func set(h http.Header, name string, values []string) {
	if len(values) > 0 {
		h.Set(name, strings.Join(values, ","))
	}
}
