package gateway

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
)

const headerRequestID = "X-Request-Id"

// reply answers in place of a version: RFC 9457 in one line, with the request's
// id, so that a person can look it up.
func reply(w http.ResponseWriter, id string, r refusal) {
	body, err := json.Marshal(struct {
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail"`
		RequestID string `json:"request_id"`
	}{http.StatusText(r.status), r.status, r.reason, id})
	if err != nil {
		panic(err) // four plain fields
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set(headerRequestID, id)
	h.Set("Via", via)
	if r.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(r.status)
	w.Write(append(body, '\n')) //nolint:errcheck // the client may have left; nothing is owed to it then
}

// requestID returns the client's id of the request, or a new one where it has
// none or one that could not stand in a log line.
func requestID(h http.Header) string {
	id := h.Get(headerRequestID)
	if id == "" || len(id) > 128 {
		return newRequestID()
	}
	for _, c := range []byte(id) {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return newRequestID()
		}
	}
	return id
}

func newRequestID() string { return fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()) }
