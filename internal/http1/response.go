package http1

// The statuses that decide over a body (RFC 9110, 15).
const (
	switchingProtocols = 101
	firstFinal         = 200 // what is below is interim: another head follows
	noContent          = 204
	notModified        = 304
	leastStatus        = 100
	mostStatus         = 599
)

// Response is the head of one answer, used as Request is.
type Response struct {
	head

	Status int    // 100 to 599
	Reason []byte // what follows the status; may be empty
	Minor  int    // of the version: 1 or 0

	// Framing as the head says it, which for an answer without a body is what the same GET would have got.
	Framing
	// NoBody says that the head ends the answer, whatever the framing says: to HEAD, and with 1xx, 204 and 304.
	NoBody bool
	// ToEOF says that the body ends with the connection.
	ToEOF bool

	Close   bool   // no further answer can come on the connection
	Upgrade []byte // the protocol that follows a 101; nil otherwise

	reason span
}

// Parse reads the head of an answer at the start of b, to a HEAD request or to another, by the rules of Request.Parse. Interim answers
// (1xx) come as heads of their own. Every fault has status 502: what an upstream says wrongly is a proxy's to answer for.
func (r *Response) Parse(b []byte, limits Limits, toHEAD bool) (n int, err error) {
	limits = limits.or()
	if !r.started {
		r.restart()
	}
	done, e := r.read(b, &limits, toHEAD)
	if e != nil {
		r.started = false
		e.Status = badGateway
		return 0, e
	}
	if !done {
		return 0, nil
	}
	return r.pos, nil
}

func (r *Response) read(b []byte, limits *Limits, toHEAD bool) (bool, *Error) {
	if !r.first {
		if r.pos < len(b) && b[r.pos] != 'H' {
			return false, bad("this is not HTTP: an answer begins with its version (RFC 9112, 4)")
		}
		from, to, ok, e := r.next(b, min(limits.Line, limits.Head))
		if !ok {
			return false, e
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
	return true, r.finish(b, toHEAD)
}

// readLine reads the status line: version SP three digits SP reason (RFC 9112, 4). The second space may be missing with the reason, as
// many servers have it: nobody can read that another way.
func (r *Response) readLine(b []byte, from, to int) *Error {
	const version, status = len("HTTP/1.1"), len("HTTP/1.1 200")
	line := b[from:to]
	if len(line) < status || line[version] != ' ' {
		return bad("the status line is not a version, a space and a status (RFC 9112, 4)")
	}
	var e *Error
	if r.Minor, e = parseVersion(line[:version]); e != nil {
		return e
	}
	r.Status = 0
	for _, c := range line[version+1 : status] {
		if !isDigit(c) {
			return bad("the status is not three digits (RFC 9112, 4)")
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	if r.Status < leastStatus || r.Status > mostStatus {
		return bad("the status is not between 100 and 599 (RFC 9110, 15)")
	}
	r.reason = span{uint32(to), uint32(to)}
	if len(line) == status {
		return nil
	}
	if line[status] != ' ' || !isValue(line[status:]) {
		return bad("the reason is not apart from the status, or holds a control character (RFC 9112, 4)")
	}
	r.reason.from = uint32(from + status + 1)
	return nil
}

// finish judges the whole head and shows it.
func (r *Response) finish(b []byte, toHEAD bool) *Error {
	if e := r.head.finish(b, r.Minor); e != nil {
		return e
	}
	r.Reason = r.reason.of(b)
	r.Framing = Framing{Length: r.length, Chunked: r.chunked}
	without := r.Status < firstFinal || r.Status == noContent
	if without && (r.Chunked || r.Length > 0) {
		return bad("an answer that has no body announces one (RFC 9110, 8.6; RFC 9112, 6.1)")
	}
	if without {
		r.Length = -1
	}
	r.NoBody = without || toHEAD || r.Status == notModified
	r.ToEOF = !r.NoBody && !r.Chunked && r.Length < 0
	r.Close = r.ToEOF || r.ends(r.Minor)
	r.Upgrade = nil
	if r.Status == switchingProtocols {
		if r.Upgrade = r.protocol(b, r.Minor); r.Upgrade == nil {
			return bad("101 does not say which protocol follows (RFC 9110, 7.8)")
		}
	}
	return nil
}
