package gateway

import (
	"net/http"
	"strconv"

	"titrate/internal/http1"
	"titrate/internal/rollout"
)

// appendRequest adds the request as the version gets it, with its body.
func (x *passage) appendRequest(out []byte) []byte {
	c := x.c
	r, body := c.req, c.unread()[:c.length]
	trusted := c.door.internal || c.loop.g.trustsAddr(c.remote.Addr())
	length := r.Length
	host, proto := r.Host, []byte("http")
	out = x.appendAs(out, http1.Framing{Length: length}, x.omit(trusted))
	out = http1.AppendField(out, headerRequestID, x.id)
	if x.trace.made {
		out = http1.AppendField(out, headerTraceParent, x.trace.text[:])
	}
	out = append(out, "Via: "+via+"\r\nX-Forwarded-For: "...)
	if trusted {
		out, host, proto = appendBefore(out, r, host, proto)
	}
	out = c.remote.Addr().Unmap().AppendTo(out)
	out = append(out, "\r\n"...)
	out = http1.AppendField(out, "X-Forwarded-Host", host)
	out = http1.AppendField(out, "X-Forwarded-Proto", proto)
	out = http1.AppendEnd(out)
	if length > 0 {
		out = append(out, body[len(body)-int(length):]...)
	}
	return out
}

// appendAs adds the head with the path and the host that the route puts in place of those
// that came.
func (x *passage) appendAs(out []byte, f http1.Framing, omit http1.Omit) []byte {
	r := x.c.req
	if x.route == nil || !x.route.rewrites {
		return r.Append(out, f, omit)
	}
	path, host := r.Path, r.Host
	defer func() { r.Path, r.Host = path, host }() // as it came, for whoever is asked next
	if a, ok := x.c.arrivalOf(); ok {
		if to := x.route.rewritten(a); to != "" {
			r.Path = []byte(to)
		}
	}
	if to := x.route.asHost(); to != "" {
		r.Host = []byte(to)
	}
	return r.Append(out, f, omit)
}

// appendBefore adds who is believed to have asked before the client did, and returns for
// which host, and how.
func appendBefore(out []byte, r *http1.Request, host, proto []byte) (to, forHost, forProto []byte) {
	for i := range r.Len() {
		switch name, value := r.At(i); {
		case asciiFold(name, "X-Forwarded-For"):
			out = append(append(out, value...), ", "...)
		case asciiFold(name, "X-Forwarded-Host"):
			host = value
		case asciiFold(name, "X-Forwarded-Proto"):
			proto = value
		}
	}
	return out, host, proto
}

// follow takes the trace of the request, or makes one.
func (x *passage) follow() {
	var last []byte
	seen := 0
	for i := range x.c.req.Len() {
		if name, value := x.c.req.At(i); asciiFold(name, headerTraceParent) {
			last = value
			seen++
		}
	}
	x.trace.follow(seen, last)
}

// omit says which fields of the client's are left out.
func (x *passage) omit(trusted bool) func(name, value []byte) bool {
	switch {
	case trusted && x.trace.made:
		return omitTrustedTrace
	case trusted:
		return omitTrusted
	case x.trace.made:
		return omitUntrustedTrace
	}
	return omitUntrusted
}

func omitTrustedTrace(name, value []byte) bool { return tracing(name) || omitTrusted(name, value) }

func omitUntrustedTrace(name, value []byte) bool { return tracing(name) || omitUntrusted(name, value) }

// tracing reports whether a field is of a trace.
func tracing(name []byte) bool {
	return asciiFold(name, headerTraceParent) || asciiFold(name, headerTraceState)
}

// omitUntrusted leaves out what a client says of who has asked, and what is said anew.
func omitUntrusted(name, _ []byte) bool {
	switch name[0] | 0x20 {
	case 'x':
		return asciiFold(name, headerRequestID) || saysWho(http.CanonicalHeaderKey(string(name)))
	case 'f':
		return saysWho(http.CanonicalHeaderKey(string(name)))
	}
	return false
}

// omitTrusted leaves out what is said anew.
func omitTrusted(name, _ []byte) bool {
	if name[0]|0x20 != 'x' {
		return false
	}
	return asciiFold(name, headerRequestID) || asciiFold(name, "X-Forwarded-For") || asciiFold(name, "X-Forwarded-Host") || asciiFold(name, "X-Forwarded-Proto")
}

// appendHead adds the head of the version's answer as the client gets it.
func (x *passage) appendHead(out []byte) []byte {
	res := &x.res
	framing := http1.Framing{Length: res.Length, Chunked: x.chunked}
	if x.route != nil && x.route.changes {
		out = x.appendChanged(out, framing)
	} else {
		out = res.Append(out, framing, omitOurs)
	}
	out = append(out, HeaderVersion+": v"...)
	out = strconv.AppendInt(out, int64(x.fleet.version), 10)
	out = append(out, "\r\n"...)
	if x.standsIn {
		out = append(out, HeaderShielded+": 1\r\n"...)
	}
	if _, ok := res.Value("x-request-id"); !ok {
		out = http1.AppendField(out, headerRequestID, x.id)
	}
	out = append(out, "Via: "+via+"\r\n"...)
	if _, ok := res.Value("date"); !ok {
		out = http1.AppendField(out, "Date", x.c.loop.dateNow())
	}
	if x.end {
		out = append(out, "Connection: close\r\n"...)
	}
	return http1.AppendEnd(out)
}

// appendChanged adds the version's head with what the route does to it.
func (x *passage) appendChanged(out []byte, framing http1.Framing) []byte {
	out = x.res.Append(out, framing, func(name, value []byte) bool {
		return omitOurs(name, value) || x.route.drops(string(name))
	})
	for name, value := range x.route.spec.ResponseHeaders.Set {
		out = http1.AppendField(out, name, value)
	}
	for name, value := range x.route.spec.ResponseHeaders.Add {
		out = http1.AppendField(out, name, value)
	}
	return out
}

// omitOurs leaves out what only the gateway says.
func omitOurs(name, _ []byte) bool {
	return asciiFold(name, HeaderVersion) || asciiFold(name, HeaderShielded)
}

// dateNow is the time as HTTP writes it, made once a second.
func (l *loop) dateNow() []byte {
	if now := l.now.Unix(); now != l.dated {
		l.dated = now
		l.date = l.now.UTC().AppendFormat(l.date[:0], http.TimeFormat)
	}
	return l.date
}

// ownAnswer is an answer of the gateway's own.
type ownAnswer struct {
	refusal
	id          string
	end, toHEAD bool
	version     rollout.Version // that has failed; 0: none
	shielded    bool            // another had failed it before
}

// appendReply adds what [reply] writes.
func (l *loop) appendReply(out []byte, r ownAnswer) []byte {
	kind, body := r.content(r.id)
	out = http1.AppendStatusLine(out, r.status, http.StatusText(r.status))
	out = http1.AppendField(out, "Content-Type", kind)
	out = append(out, "Cache-Control: no-store\r\n"...)
	out = http1.AppendField(out, headerRequestID, r.id)
	out = append(out, "Via: "+via+"\r\n"...)
	if r.version != 0 {
		out = http1.AppendField(out, HeaderVersion, r.version.String())
	}
	if r.shielded {
		out = append(out, HeaderShielded+": 1\r\n"...)
	}
	if after := r.retryAfter(); after != "" {
		out = http1.AppendField(out, "Retry-After", after)
	}
	if r.location != "" {
		out = http1.AppendField(out, "Location", r.location)
	}
	out = http1.AppendField(out, "Date", l.dateNow())
	out = http1.AppendFraming(out, http1.Framing{Length: int64(len(body))})
	if r.end {
		out = append(out, "Connection: close\r\n"...)
	}
	out = http1.AppendEnd(out)
	if r.toHEAD {
		return out
	}
	return append(out, body...)
}

// requestIDOf is requestID of a plain request.
func requestIDOf(r *http1.Request) string {
	if id, ok := r.Value("x-request-id"); ok && usableID(id) {
		return string(id)
	}
	return newRequestID()
}

func (l *loop) takeRequest() *http1.Request {
	if n := len(l.reqs); n > 0 {
		r := l.reqs[n-1]
		l.reqs = l.reqs[:n-1]
		return r
	}
	return &http1.Request{}
}

func (l *loop) giveRequest(r *http1.Request) {
	if r.Reset(); len(l.reqs) < mostFree {
		l.reqs = append(l.reqs, r)
	}
}
