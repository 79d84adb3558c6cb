package gateway

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net/http"
)

const headerRequestID = "X-Request-Id"

// reply answers in place of a version: RFC 9457 in one line, with the request's
// id, so that a person can look it up.
func reply(w http.ResponseWriter, id string, r refusal) {
	h := w.Header()
	kind, body := r.content(id)
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-store")
	h.Set(headerRequestID, id)
	h.Set("Via", via)
	if after := r.retryAfter(); after != "" {
		h.Set("Retry-After", after)
	}
	if r.location != "" {
		h.Set("Location", r.location)
	}
	w.WriteHeader(r.status)
	w.Write(body) //nolint:errcheck // the client may have left; nothing is owed to it then
}

func replyBody(id string, r refusal) []byte {
	body, err := json.Marshal(struct {
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail"`
		RequestID string `json:"request_id"`
	}{http.StatusText(r.status), r.status, r.reason, id})
	if err != nil {
		panic(err) // four plain fields
	}
	return append(body, '\n')
}

// requestID returns the client's id of the request, or a new one where it has
// none or one that could not stand in a log line.
func requestID(h http.Header) string {
	if id := h.Get(headerRequestID); usableID(id) {
		return id
	}
	return newRequestID()
}

// usableID reports whether an id can stand in a log line.
func usableID[T string | []byte](id T) bool {
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return len(id) > 0 && len(id) <= 128
}

func newRequestID() string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:], rand.Uint64())
	binary.BigEndian.PutUint64(raw[8:], rand.Uint64())
	return hex.EncodeToString(raw[:])
}
