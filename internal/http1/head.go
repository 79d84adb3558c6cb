package http1

import "bytes"

// head follows a head line by line as its bytes arrive: each byte is searched once, and each line is judged when it is whole, so that a
// bad message is refused at the line that makes it bad.
type head struct {
	Fields
	options []span // the members of Connection that name fields

	pos     int // where the line begins that is to be read
	seen    int // up to where no line end was found
	blank   bool
	first   bool // the first line was read
	started bool

	hosts             int
	host              span
	length            int64
	hasLength         bool
	chunked           bool
	close, keep       bool
	wantsUpgrade      bool
	upgrades, expects int
	upgrade           span
}

// restart forgets everything but the memory.
func (h *head) restart() {
	*h = head{Fields: Fields{list: h.list[:0]}, options: h.options[:0], length: -1, started: true}
}

// next finds the next line of b, which must end within the next limit bytes. Without a line there are not enough bytes yet.
func (h *head) next(b []byte, limit int) (from, to int, ok bool, e *Error) {
	window := min(len(b), limit)
	if h.seen < window {
		if i := bytes.IndexByte(b[h.seen:window], '\n'); i >= 0 {
			end := h.seen + i
			from, to = h.pos, end-1
			if end == h.pos || b[end-1] != '\r' {
				return 0, 0, false, bad("a line ends in LF without CR (RFC 9112, 2.2)")
			}
			h.pos, h.seen = end+1, end+1
			return from, to, true, nil
		}
		h.seen = window
	}
	if len(b) > limit {
		return 0, 0, false, &Error{Status: headerFieldsTooLarge, Why: "the head is longer than the limit"}
	}
	return 0, 0, false, nil
}

// fields reads field lines up to the empty line. It is done or needs more bytes.
func (h *head) fields(b []byte, limits *Limits) (done bool, e *Error) {
	for {
		from, to, ok, e := h.next(b, limits.Head)
		if !ok {
			return false, e
		}
		if from == to {
			return true, nil
		}
		f, e := h.add(b, from, to, limits.Fields)
		if e != nil {
			return false, e
		}
		if f.kind != other {
			if e := h.note(b, f); e != nil {
				return false, e
			}
		}
	}
}

// note takes from a field what decides over framing, routing and the connection.
func (h *head) note(b []byte, f *field) *Error {
	v := f.value.of(b)
	switch f.kind {
	case host:
		h.hosts++
		h.host = f.value
	case contentLength:
		return h.noteLength(v)
	case transferEncoding:
		return h.noteCoding(v)
	case connection:
		return h.noteConnection(f.value, v)
	case upgrade:
		h.upgrades++
		h.upgrade = f.value
	case expect:
		h.expects++
		if !equal(v, "100-continue") || h.expects > 1 {
			return &Error{Status: expectationFailed, Why: "an expectation other than 100-continue (RFC 9110, 10.1.1)"}
		}
	case trailer:
		return eachMember(f.value, v, func(_ span, name []byte) *Error {
			if k := kindOf(name); k == contentLength || k == transferEncoding || k == trailer {
				return bad("Trailer announces a field that frames the message (RFC 9110, 6.5.1)")
			}
			return nil
		})
	default: // left out when forwarded, otherwise without effect
	}
	return nil
}

// mostDigits keeps a length within int64 without a check for overflow.
const mostDigits = 18

// noteLength reads Content-Length. RFC 9112, 6.3 lets a recipient take equal lengths as one and RFC 9110, 8.6 allows leading zeros:
// both were used to make two parsers differ, and no sender needs them.
func (h *head) noteLength(v []byte) *Error {
	if h.hasLength {
		return bad("Content-Length is repeated (RFC 9112, 6.3)")
	}
	if len(v) == 0 || len(v) > mostDigits || v[0] == '0' && len(v) > 1 {
		return bad("Content-Length is empty, too long, or has leading zeros (RFC 9110, 8.6)")
	}
	h.hasLength, h.length = true, 0
	for _, c := range v {
		if c < '0' || c > '9' {
			return bad("Content-Length is not a plain number (RFC 9110, 8.6)")
		}
		h.length = h.length*10 + int64(c-'0')
	}
	return nil
}

// noteCoding reads Transfer-Encoding. Codings other than chunked are no longer used by anyone but attackers; the case of letters does
// not matter (RFC 9112, 7).
func (h *head) noteCoding(v []byte) *Error {
	if h.chunked {
		return bad("Transfer-Encoding is repeated (RFC 9112, 6.1)")
	}
	if !equal(v, "chunked") {
		return &Error{Status: notImplemented, Why: "a transfer coding other than chunked alone (RFC 9112, 6.1)"}
	}
	h.chunked = true
	return nil
}

// noteConnection reads one Connection field.
func (h *head) noteConnection(at span, v []byte) *Error {
	return eachMember(at, v, func(at span, name []byte) *Error {
		switch {
		case !all(name, inToken):
			return bad("Connection has a member that is not a token (RFC 9110, 7.6.1)")
		case equal(name, "close"):
			h.close = true
		case equal(name, "keep-alive"):
			h.keep = true
		case equal(name, "upgrade"):
			h.wantsUpgrade = true
		case notAnOption(name):
			return bad("Connection names a field that frames, routes or authenticates the message (RFC 9110, 7.6.1)")
		case len(h.options) == mostOptions:
			return bad("Connection has more members than the limit allows")
		default:
			h.options = append(h.options, at)
		}
		return nil
	})
}

// eachMember calls do for each member of a list (RFC 9110, 5.6.1) that is not empty, with its place in the head.
func eachMember(at span, list []byte, do func(span, []byte) *Error) *Error {
	for start := 0; start < len(list); {
		end := len(list)
		if i := bytes.IndexByte(list[start:], ','); i >= 0 {
			end = start + i
		}
		for start < end && (list[start] == ' ' || list[start] == '\t') {
			start++
		}
		stop := end
		for stop > start && (list[stop-1] == ' ' || list[stop-1] == '\t') {
			stop--
		}
		if start < stop {
			if e := do(span{at.from + uint32(start), at.from + uint32(stop)}, list[start:stop]); e != nil {
				return e
			}
		}
		start = end + 1
	}
	return nil
}

// finish judges what can be judged only by the whole head.
func (h *head) finish(b []byte, minor int) *Error {
	switch {
	case h.chunked && h.hasLength:
		return bad("both Content-Length and Transfer-Encoding (RFC 9112, 6.1)")
	case h.chunked && minor == 0:
		return bad("Transfer-Encoding in HTTP/1.0, which has none (RFC 9112, 6.1)")
	case h.upgrades > 1:
		return bad("Upgrade is repeated")
	}
	h.started = false
	h.bytes = b[:h.pos:h.pos]
	for _, o := range h.options {
		name := o.of(b)
		for i := range h.list {
			if bytes.EqualFold(name, h.list[i].name.of(b)) {
				h.list[i].hop = true
			}
		}
	}
	return nil
}

// ends says that no further message may follow on the connection (RFC 9112, 9.3).
func (h *head) ends(minor int) bool { return h.close || minor == 0 && !h.keep }

// protocol is the one protocol that Upgrade names where Connection says so too. A list is as good as none (RFC 9110, 7.8 leaves a
// server free not to change), since a proxy could not say which of them its tunnel speaks.
func (h *head) protocol(b []byte, minor int) []byte {
	v := h.upgrade.of(b)
	name, version, _ := bytes.Cut(v, []byte("/"))
	if !h.wantsUpgrade || minor == 0 || len(name) == 0 || !all(name, inToken) || !all(version, inToken) {
		return nil
	}
	return v
}

// Options yields the names that Connection lists, but for close, keep-alive and upgrade.
func (h *head) Options(yield func(name []byte) bool) {
	for _, o := range h.options {
		if !yield(o.of(h.bytes)) {
			return
		}
	}
}

// Reset forgets a head of which only a part has come: the next Parse begins anew. After a whole head or an error Parse does so by itself.
func (h *head) Reset() {
	h.restart()
	h.started = false
}
