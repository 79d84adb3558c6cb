package http1

// Framing says how a body is delimited (RFC 9112, 6).
type Framing struct {
	Length  int64 // Content-Length, -1 without
	Chunked bool  // Transfer-Encoding: chunked
}

// Request is the head of one request. The zero value is ready; one Request serves a connection for its whole life, or a loop for all of its
// connections when heads that have not come whole keep one of their own. It may not be copied, nor used by two goroutines at once.
//
// Its fields are read by Len, At, All, Value and Hop of Fields; Options are what Connection names; Reset gives up a head that came in part.
//
// What it shows is true after Parse answered with n > 0 and as long as the caller leaves those bytes as they are.
type Request struct {
	head

	Method []byte // as it came: methods know upper and lower case (RFC 9110, 9.1)
	Target []byte // as it came
	Path   []byte // the path of the target, still escaped; "*" for OPTIONS *; empty for CONNECT
	Query  []byte // what follows the path's ?, without it
	// HasQuery tells "/?" from "/".
	HasQuery bool
	// Absolute says that the target was a whole URI: its authority is the Host, whatever the field said (RFC 9112, 3.2.2).
	Absolute bool
	// Host is who is asked, with its port if one was said: a name or an address (see SplitHost). It is empty in HTTP/1.0 only.
	Host  []byte
	Minor int // of the version: 1 or 0

	Framing // of the body; without a length and without chunks there is none

	Close     bool // no further request may come on the connection
	Expect100 bool // the client waits for 100 (Continue) before it sends the body
	// Upgrade is the one protocol that the client would change to; nil without, or with a body, or with more than one. Only a protocol that
	// the caller knows is to be passed on: h2c would carry requests past it that nobody reads.
	Upgrade []byte
	// Refuse is 405 for CONNECT, which asks for a tunnel through a proxy that this is not; otherwise 0. The head is sound, but what follows
	// it is not HTTP: answer and close.
	Refuse int

	line   span
	method span
	at     target
}

// Parse reads a request head at the start of b. With n = 0 and no error more bytes are needed: the next call takes the same bytes, which
// may have moved, and more after them, and goes on where this one ended. With n > 0 the head is b[:n], and the body begins there.
// An error is an *Error. The limits must stay the same from call to call.
func (r *Request) Parse(b []byte, limits Limits) (n int, err error) {
	limits = limits.or()
	if !r.started {
		r.restart()
	}
	done, e := r.read(b, &limits)
	if e != nil {
		r.started = false
		return 0, e
	}
	if !done {
		return 0, nil
	}
	return r.pos, nil
}

func (r *Request) read(b []byte, limits *Limits) (bool, *Error) {
	for !r.first {
		if r.pos < len(b) && classes[b[r.pos]]&inToken == 0 && b[r.pos] != '\r' && b[r.pos] != '\n' {
			return false, bad("this is not HTTP: a request line begins with a method (RFC 9112, 3)")
		}
		from, to, ok, e := r.next(b, min(r.pos+limits.Line, limits.Head))
		if e != nil && e.Status == headerFieldsTooLarge {
			e = &Error{Status: uriTooLong, Why: "the request line is longer than the limit"}
		}
		if !ok {
			return false, e
		}
		if from == to { // RFC 9112, 2.2: one empty line before a request is to be overlooked
			if r.blank {
				return false, bad("more than one empty line before the request line (RFC 9112, 2.2)")
			}
			r.blank = true
			continue
		}
		if e := r.readLine(b, from, to); e != nil {
			return false, e
		}
		r.first = true
	}
	done, e := r.fields(b, limits)
	if !done {
		return false, e
	}
	return true, r.finish(b)
}

// readLine reads the request line: method SP target SP version, with single spaces (RFC 9112, 3).
func (r *Request) readLine(b []byte, from, to int) *Error {
	i := from
	for i < to && classes[b[i]]&inToken != 0 {
		i++
	}
	if i == from || i == to || b[i] != ' ' {
		return bad("the request line does not begin with a method and one space (RFC 9112, 3)")
	}
	method := b[from:i]
	if e := checkMethod(method); e != nil {
		return e
	}
	r.method = span{uint32(from), uint32(i)}
	start := i + 1
	for i = start; i < to && b[i] != ' '; i++ {
	}
	if i == start || i == to {
		return bad("the request line is not a method, a target and a version with one space between (RFC 9112, 3)")
	}
	var e *Error
	if r.at, e = parseTarget(b, start, i, method); e != nil {
		return e
	}
	r.line = span{uint32(start), uint32(i)}
	r.Minor, e = parseVersion(b[i+1 : to])
	return e
}

func checkMethod(m []byte) *Error {
	if len(m) > mostMethod {
		return &Error{Status: notImplemented, Why: "the method is longer than any known one"}
	}
	// A server that takes head for HEAD answers without the body that a proxy waits for; with connect it makes a tunnel.
	if equal(m, "head") && string(m) != "HEAD" || equal(m, "connect") && string(m) != "CONNECT" {
		return bad("HEAD and CONNECT are written in capitals: methods know upper and lower case (RFC 9110, 9.1)")
	}
	return nil
}

// parseVersion reads HTTP/1.0 and HTTP/1.1. A version of another digit is one to refuse by its own status (RFC 9110, 15.6.6).
func parseVersion(v []byte) (minor int, e *Error) {
	switch string(v) {
	case "HTTP/1.1":
		return 1, nil
	case "HTTP/1.0":
		return 0, nil
	}
	if len(v) == 8 && string(v[:5]) == "HTTP/" && isDigit(v[5]) && v[6] == '.' && isDigit(v[7]) {
		return 0, &Error{Status: versionNotSupported, Why: "a version other than HTTP/1.0 and HTTP/1.1"}
	}
	return 0, bad("the version is not HTTP/1.1 or HTTP/1.0 to the letter (RFC 9112, 2.3)")
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// finish judges the whole head and shows it.
func (r *Request) finish(b []byte) *Error {
	if e := r.head.finish(b, r.Minor); e != nil {
		return e
	}
	switch {
	case r.hosts > 1:
		return bad("Host is repeated (RFC 9112, 3.2)")
	case r.hosts == 0 && r.Minor == 1:
		return bad("Host is missing (RFC 9112, 3.2)")
	case r.hosts == 1 && !isHost(r.host.of(b)):
		return bad("Host is not a host (RFC 9112, 3.2)")
	}
	r.Method, r.Target = r.method.of(b), r.line.of(b)
	r.Path, r.Query, r.HasQuery = r.at.path.of(b), r.at.query.of(b), r.at.hasQuery
	r.Absolute, r.Host = r.at.absolute, r.host.of(b)
	connect := string(r.Method) == "CONNECT"
	if r.Absolute || connect {
		r.Host = r.at.host.of(b)
	}
	if r.Absolute && len(r.Path) == 0 {
		r.Path = emptyPath(r.Method, r.HasQuery)
	}
	r.Framing = Framing{Length: r.length, Chunked: r.chunked}
	body := r.Chunked || r.Length > 0
	r.Close = r.ends(r.Minor)
	r.Expect100 = r.expects > 0 && body && r.Minor == 1
	r.Upgrade, r.Refuse = nil, 0
	if !body {
		r.Upgrade = r.protocol(b, r.Minor)
	}
	if connect {
		r.Refuse, r.Close, r.Upgrade = methodNotAllowed, true, nil
	}
	return nil
}

// The paths that a URI without one stands for (RFC 9112, 3.2.4). They are never written to.
var root, star = []byte("/"), []byte("*")

func emptyPath(method []byte, query bool) []byte {
	if string(method) == "OPTIONS" && !query {
		return star
	}
	return root
}
