package gateway

import (
	"bytes"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/http1"
)

// phase is where a client's connection stands.
type phase uint8

const (
	reading  phase = iota // waits for a request, or for the rest of one
	waiting               // a request is with an instance, which has not answered yet
	relaying              // its answer is on its way
	closing               // all is said; what still comes is thrown away until the client is gone
)

// client is the connection of a client to a loop. One request at a time is under way on it;
// its bytes stay in the buffer until it is over, so that it can be sent to another instance.
type client struct {
	sock
	door   *door
	remote netip.AddrPort
	local  netip.Addr

	phase   phase
	fresh   bool           // nothing has been read from it yet
	heading bool           // a head has begun to come
	looking bool           // read is under way
	shut    bool           // it was told that no more comes
	late    time.Time      // when it is given up; zero: never
	half    time.Time      // when it is taken to have left, as it sends no more; zero: it may
	req     *http1.Request // nil between requests
	length  int            // of the request in the buffer, with its body; 0: its head is not whole
	x       *passage       // the request under way
	missed  atomic.Bool    // something has happened while a function was called
}

// ready goes on wherever the connection stands.
func (c *client) ready() {
	if c.closed || c.x != nil && c.x.answering() {
		return
	}
	before := len(c.out)
	if !c.flush() || c.broken {
		c.lost()
		return
	}
	switch {
	case len(c.out) > 0 && len(c.out) < before: // it takes what it is given
		c.late = c.loop.now.Add(c.loop.g.cfg.StallTimeout)
	case len(c.out) == 0 && c.phase == relaying:
		c.late = time.Time{}
		c.x.relay()
	case len(c.out) == 0 && before > 0 && c.phase == reading:
		c.late = c.loop.now.Add(c.loop.g.cfg.IdleTimeout)
	}
	if c.closed {
		return
	}
	switch c.phase {
	case reading:
		c.read()
	case waiting, relaying:
		if c.ended && c.half.IsZero() {
			c.half = c.loop.now.Add(c.loop.g.cfg.HalfClosed)
		}
	case closing:
		c.linger()
	}
}

// tick ends what takes too long.
func (c *client) tick() {
	stopping := c.loop.g.stopping.Load()
	switch {
	case !c.half.IsZero() && !c.loop.now.Before(c.half) && (c.phase == waiting || c.phase == relaying):
		c.lost()
	case c.phase == reading && c.req == nil && len(c.unread()) == 0 && len(c.out) == 0 && stopping && c.loop.hurried:
		c.close()
	case c.late.IsZero() || c.loop.now.Before(c.late):
	case c.phase == waiting && len(c.out) == 0:
		c.x.overdue()
	case c.phase == relaying || c.phase == waiting:
		c.lost() // it takes nothing of its answer
	case c.length > 0:
		c.move()
	default:
		c.close()
	}
}

// read reads requests, and begins one after the other.
func (c *client) read() {
	c.looking = true
	defer func() { c.looking = false }()
	for c.phase == reading && !c.closed && len(c.out) == 0 {
		if len(c.unread()) > 0 && c.begin() {
			continue
		}
		if c.closed || c.phase != reading {
			return
		}
		if c.full() { // it does not fit
			c.move()
			return
		}
		n, more := c.sock.read()
		switch {
		case !more && c.length > 0: // it breaks off in its body: to be counted
			c.move()
			return
		case !more:
			c.close()
			return
		case n == 0:
			c.idle()
			return
		}
		c.fresh = false
	}
}

// idle is a connection on which nothing has come.
func (c *client) idle() {
	if len(c.unread()) > 0 {
		return
	}
	c.rest()
	if !c.fresh && c.req != nil {
		c.loop.giveRequest(c.req)
		c.req = nil
	}
	if !c.fresh && c.length == 0 {
		c.late = c.loop.now.Add(c.loop.g.cfg.IdleTimeout)
	}
}

// begin looks at what has come, and begins the request that is whole. It reports whether
// there may be another in what has come.
func (c *client) begin() bool {
	if c.length == 0 {
		if c.req == nil {
			c.req = c.loop.takeRequest()
		}
		n, err := c.req.Parse(c.unread(), c.loop.requests)
		switch {
		case err != nil:
			c.refuse(err)
			return false
		case n == 0:
			if !c.heading {
				c.heading = true
				c.late = c.loop.now.Add(c.loop.g.cfg.HeaderTimeout)
			}
			return false
		case !c.plain():
			c.move()
			return false
		}
		c.length = n
		if c.req.Length > 0 {
			if c.req.Length > int64(bufferBytes-n) {
				c.length = 0
				c.move()
				return false
			}
			c.length += int(c.req.Length)
			c.late = c.loop.now.Add(bodyComes)
		}
	}
	if len(c.unread()) < c.length {
		return false
	}
	c.late = time.Time{}
	c.pass()
	return c.phase == reading
}

// refuse answers what is no HTTP, and ends the connection.
func (c *client) refuse(err error) {
	e, ok := err.(*http1.Error) //nolint:errorlint // what Parse promises
	if !ok {
		e = &http1.Error{Status: 400, Why: err.Error()}
	}
	c.answer(ownAnswer{id: newRequestID(), refusal: refusal{status: e.Status, reason: e.Why}, end: true})
}

// answer answers in place of a version. The connection ends with it, or goes on.
func (c *client) answer(r ownAnswer) {
	c.loop.out = c.loop.appendReply(c.loop.out[:0], r)
	if !c.write(c.loop.out) {
		c.lost()
		return
	}
	c.done(r.end)
}

// done is a request that is answered: the connection ends, or waits for the next.
func (c *client) done(end bool) {
	if c.closed {
		return
	}
	if c.from += c.length; c.from > c.to {
		c.from = c.to
	}
	c.length, c.x, c.heading = 0, nil, false
	if end {
		c.phase = closing
		c.late = c.loop.now.Add(c.loop.g.cfg.StallTimeout) // to take what is left
		c.linger()
		return
	}
	c.phase = reading
	if c.req != nil {
		c.loop.giveRequest(c.req)
		c.req = nil
	}
	c.late = c.loop.now.Add(c.loop.g.cfg.IdleTimeout)
	if len(c.out) > 0 { // the next request waits until this answer is taken
		c.late = c.loop.now.Add(c.loop.g.cfg.StallTimeout)
	}
	if !c.looking {
		c.read() // what has come meanwhile
	}
}

// bodyComes is how long the rest of a request may take to come, before the connection is
// moved to where a version hears of its requests while they come.
const bodyComes = 100 * time.Millisecond

// lingers is how long a connection that was answered for the last time may take to be
// closed by the client: closing it sooner could take the answer from it (RFC 9112, 9.6).
const lingers = 2 * time.Second

// linger throws away what still comes.
func (c *client) linger() {
	if len(c.out) == 0 && !c.shut {
		c.shut = true
		c.late = c.loop.now.Add(lingers)
		_ = unix.Shutdown(c.fd, unix.SHUT_WR)
	}
	for range turnReads {
		c.from = c.to
		n, more := c.sock.read()
		switch {
		case c.broken, !more && c.shut:
			c.close()
			return
		case n == 0: // or it sends no more, and still takes its answer
			c.from = c.to
			c.rest()
			return
		}
	}
	c.loop.later = append(c.loop.later, func() {
		if !c.closed {
			c.loop.at = &c.sock
			c.linger()
		}
	})
}

// write is sock's. A client that sends no more may wait for the next piece.
func (c *client) write(b []byte) bool {
	if !c.half.IsZero() {
		c.half = c.loop.now.Add(c.loop.g.cfg.HalfClosed)
	}
	return c.sock.write(b)
}

// fault gives the connection up.
func (c *client) fault() { c.lost() }

// lost is a client that has gone away, or takes nothing any more.
func (c *client) lost() {
	if c.x != nil && !c.x.ends() {
		return // whoever answers sees it
	}
	if x := c.x; x != nil {
		c.x = nil
		x.abandoned()
	}
	c.close()
}

func (c *client) close() {
	if c.closed {
		return
	}
	if c.req != nil {
		c.loop.giveRequest(c.req)
		c.req = nil
	}
	c.door.open.Add(-1)
	c.loop.conns.Add(-1)
	c.sock.close()
}

// plain reports whether a loop serves the request whose head has been read: one of
// HTTP/1.1 to a service, without what needs more than a head and a body. All else is moved.
func (c *client) plain() bool {
	r, d, g := c.req, c.door, c.door.g
	if r.Minor == 0 || r.Chunked || r.Expect100 || r.Upgrade != nil || r.Absolute || r.Refuse != 0 || len(r.Path) == 0 || r.Path[0] != '/' {
		return false
	}
	if bytes.Contains(r.Target, previewParam) || bytes.Contains(r.Host, previewMark) {
		return false
	}
	for i := range r.Len() {
		name, value := r.At(i)
		switch name[0] | 0x20 {
		case 't':
			if asciiFold(name, HeaderVersion) || asciiFold(name, HeaderPreview) {
				return false
			}
		case 'u':
			if asciiFold(name, "Upgrade") {
				return false
			}
		case 'c':
			if asciiFold(name, "Cookie") && bytes.Contains(value, previewParam) {
				return false
			}
		}
	}
	if d.internal {
		return true
	}
	if g.cfg.Certificates != nil && bytes.HasPrefix(r.Path, []byte(wellKnown)) {
		return false
	}
	if g.cfg.Control.Host == "" && !d.plain {
		return true
	}
	host, ok := hostName(string(r.Host))
	return ok && host != g.cfg.Control.Host && (!d.plain || !g.cfg.Certificates.Covers(host))
}

var (
	previewParam = []byte(PreviewParam)
	previewMark  = []byte("--")
)

func asciiFold(name []byte, as string) bool {
	return len(name) == len(as) && strings.EqualFold(string(name), as)
}

// arrivalOf says what the router has to know of a plain request.
func (c *client) arrivalOf() (arrival, bool) {
	r := c.req
	a := arrival{internal: c.door.internal, local: c.local, method: methodName(r.Method), host: string(r.Host), path: string(r.Path)}
	a.head = (*loopHead)(r)
	if c.loop.g.trustsAddr(c.remote.Addr()) {
		a.secure = a.head.has("x-forwarded-proto", "https")
	}
	if strings.IndexByte(a.path, '%') >= 0 {
		u, err := url.ParseRequestURI(a.path)
		if err != nil {
			return a, false
		}
		if a.path = u.Path; u.RawPath != "" {
			a.raw = u.EscapedPath()
		}
	}
	if a.method == "OPTIONS" {
		if v, ok := r.Value("access-control-request-method"); ok {
			a.wants = string(v)
		}
	}
	return a, true
}

// methodName spares making anew the names that nearly all requests have.
func methodName(m []byte) string {
	switch string(m) {
	case "GET":
		return "GET"
	case "POST":
		return "POST"
	case "HEAD":
		return "HEAD"
	case "PUT":
		return "PUT"
	case "DELETE":
		return "DELETE"
	}
	return string(m)
}
