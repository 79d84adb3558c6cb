package gateway

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
)

const (
	headerTraceParent = "Traceparent"
	headerTraceState  = "Tracestate"
)

// traceBytes is how long a traceparent of version 00 is.
const traceBytes = 55

// trace is the traceparent that a version gets with a request (W3C Trace Context): the
// client's as it came, or a new one that is not sampled where there was none, several, or
// one that cannot be read. Then its tracestate is left out too (there, 3.3 and 4.3).
type trace struct {
	text [traceBytes]byte // the client's begins with it where it is of a later version
	made bool
}

// id is the trace's 32 digits.
func (t *trace) id() []byte { return t.text[3:35] }

// follow takes the client's traceparents: seen of them, the last of which is value.
func (t *trace) follow(seen int, value []byte) {
	if seen == 1 && usableTrace(value) {
		copy(t.text[:], value)
		t.made = false
		return
	}
	var raw [24]byte
	binary.BigEndian.PutUint64(raw[:], rand.Uint64())
	binary.BigEndian.PutUint64(raw[8:], rand.Uint64()|1) // all zeros stand for none
	binary.BigEndian.PutUint64(raw[16:], rand.Uint64()|1)
	out := append(t.text[:0], "00-"...)
	out = append(hex.AppendEncode(out, raw[:16]), '-')
	_ = append(hex.AppendEncode(out, raw[16:]), "-00"...)
	t.made = true
}

// usableTrace reports whether v is a traceparent: version, trace, parent and flags in
// lower-case hexadecimal, neither id all zeros. What follows in a later version begins with
// a dash, and is not looked at.
func usableTrace(v []byte) bool {
	if len(v) < traceBytes || v[2] != '-' || v[35] != '-' || v[52] != '-' {
		return false
	}
	version, id, parent, flags := v[:2], v[3:35], v[36:52], v[53:55]
	if !lowerHex(version) || !lowerHex(id) || !lowerHex(parent) || !lowerHex(flags) || zeros(id) || zeros(parent) {
		return false
	}
	switch string(version) {
	case "00":
		return len(v) == traceBytes
	case "ff":
		return false
	}
	return len(v) == traceBytes || v[traceBytes] == '-'
}

func lowerHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != '0' {
			return false
		}
	}
	return true
}

// followed sets what a version gets by h, the header of its request.
func (t *trace) followed(h http.Header) {
	values := h[headerTraceParent]
	var last []byte
	if len(values) > 0 {
		last = []byte(values[len(values)-1])
	}
	if t.follow(len(values), last); t.made {
		h[headerTraceParent] = []string{string(t.text[:])}
		delete(h, headerTraceState)
	}
}
