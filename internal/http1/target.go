package http1

import "bytes"

// target is a request target taken apart (RFC 9112, 3.2).
type target struct {
	path, query, host span
	hasQuery          bool
	absolute          bool
}

// parseTarget reads the target at b[from:to] of a request with that method.
func parseTarget(b []byte, from, to int, method []byte) (t target, e *Error) {
	raw := b[from:to]
	if !all(raw, inTarget) {
		return t, bad("the target holds a control character, a byte outside ASCII, or a fragment (RFC 9112, 3.2)")
	}
	switch {
	case string(method) == "CONNECT":
		if _, port := SplitHost(raw); !isHost(raw) || len(port) == 0 {
			return t, bad("the target of CONNECT is not a host and a port (RFC 9112, 3.2.3)")
		}
		t.host = span{uint32(from), uint32(to)}
		return t, nil
	case raw[0] == '/':
		return t, t.split(b, from, to)
	case len(raw) == 1 && raw[0] == '*':
		if string(method) != "OPTIONS" {
			return t, bad("the target * is for OPTIONS only (RFC 9112, 3.2.4)")
		}
		t.path = span{uint32(from), uint32(to)}
		return t, nil
	case begins(raw, "http://"):
		from += len("http://")
	case begins(raw, "https://"):
		from += len("https://")
	default:
		return t, bad("the target is neither a path nor an http or https URI (RFC 9112, 3.2)")
	}
	t.absolute = true
	end := from
	for end < to && b[end] != '/' && b[end] != '?' {
		end++
	}
	if !isHost(b[from:end]) {
		return t, bad("the target's authority is not a host (RFC 9110, 4.2: no name and no password either)")
	}
	t.host = span{uint32(from), uint32(end)}
	return t, t.split(b, end, to)
}

// split cuts b[from:to] into path and query. Percent signs of a path have to escape, and a backslash has no place in one: some servers
// read it as a slash.
func (t *target) split(b []byte, from, to int) *Error {
	end := to
	if i := bytes.IndexByte(b[from:to], '?'); i >= 0 {
		end = from + i
		t.hasQuery = true
		t.query = span{uint32(end + 1), uint32(to)}
	}
	t.path = span{uint32(from), uint32(end)}
	path := b[from:end]
	if bytes.IndexByte(path, '\\') >= 0 {
		return bad("the path holds a backslash, which some servers read as a slash")
	}
	for {
		i := bytes.IndexByte(path, '%')
		if i < 0 {
			return nil
		}
		if len(path) < i+3 || !all(path[i+1:i+3], isHex) {
			return bad("a percent sign in the path is not followed by two hexadecimal digits (RFC 3986, 2.1)")
		}
		path = path[i+3:]
	}
}
