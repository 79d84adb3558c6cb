package gateway

import (
	"bytes"
	"mime"
	"net/http"
	"strings"
	"time"

	"titrate/internal/http1"
)

// passage is a request under way through a loop, from its draw to its count: what
// [exchange] is to the front on net/http.
type passage struct {
	*ticket
	c       *client
	k       *link // nil: none yet, or none any more
	calling *call // of a function; nil: none
	called  called
	id      string
	trace   trace
	toHEAD  bool
	length  int64 // of its body
	again   bool  // it may be sent once more, where the instance has closed without a word (RFC 9110, 9.2.2)
	end     bool  // the client's connection ends with it
	sent    time.Time
	res     http1.Response
	chunks  http1.Chunks
	status  int  // of the final head; 0: none was sent
	chunked bool // as it is sent to the client
	left    int64

	headed    bool
	headAfter time.Duration
	since     time.Time     // when waiting for the version's body began; zero: it is not waited for
	waited    time.Duration // for it
	broke     bool          // the version failed
	fault     fault         // how
	carried   int64         // bytes of its body that have come
	gone      bool          // the client
}

// pass draws an instance for the request, and sends it there.
func (c *client) pass() {
	l, r := c.loop, c.req
	id := requestIDOf(r)
	end := r.Close || l.g.stopping.Load()
	a, ok := c.arrivalOf()
	if !ok {
		c.move()
		return
	}
	t, ref := l.g.admit(a)
	if ref != nil {
		if l.g.access.wants() {
			line := l.g.accessRefused(t, ref)
			line.asked, line.id = asked{a.method, a.path}, id
			l.g.access.add(c.seen(line))
		}
		c.answer(ownAnswer{id: id, refusal: *ref, end: end, toHEAD: a.method == http.MethodHead})
		return
	}
	x := &passage{ticket: t, c: c, id: id, toHEAD: a.method == http.MethodHead, length: r.Length, again: repeatable(r), end: end, sent: l.now}
	x.follow()
	t.begin(x.cutter())
	c.x, c.phase = x, waiting
	x.dispatch()
}

// seen adds what the request says to what is logged of it: copies, for its bytes go away.
func (c *client) seen(a access) access {
	a.client, a.scheme, a.protocol = c.remote.Addr(), "http", "1.1"
	if c.req != nil {
		a.host = string(c.req.Host)
		agent, _ := c.req.Value("user-agent")
		a.agent = string(agent)
	}
	return a
}

// cutter ends the request from any goroutine.
func (x *passage) cutter() func(error) {
	return func(error) { x.c.loop.post(x.cutOff) }
}

// dispatch gives the request to the instance of the ticket.
func (x *passage) dispatch() {
	if c, ok := x.instance.upstream.(callee); ok {
		x.call(c)
		return
	}
	x.send(false)
}

// repeatable reports whether a request may be sent again after a connection was closed
// without an answer, as net/http's transport does it.
func repeatable(r *http1.Request) bool {
	if r.Length > 0 {
		return false
	}
	switch string(r.Method) {
	case "GET", "HEAD", "OPTIONS", "TRACE":
		return true
	}
	_, keyed := r.Value("idempotency-key")
	return keyed
}

// send sends the request to the instance of the ticket, or to another of its version.
func (x *passage) send(fresh bool) {
	l, c := x.c.loop, x.c
	for {
		k, err := l.link(x.instance, fresh)
		if err == nil {
			x.k, k.x = k, x
			break
		}
		if !x.next() {
			x.fail(faultConnect, refusal{status: http.StatusBadGateway, reason: "no instance of the version could be connected to"})
			return
		}
	}
	c.late = l.now.Add(l.g.cfg.ResponseTimeout)
	if d := x.route.timeout(); d > 0 {
		c.late = l.now.Add(d)
	}
	l.out = x.appendRequest(l.out[:0])
	if !x.k.write(l.out) && !x.k.readable {
		x.broken()
	}
}

// unconnected tries another instance of the version.
func (x *passage) unconnected() {
	x.k = nil
	if !x.next() {
		x.fail(faultConnect, refusal{status: http.StatusBadGateway, reason: "no instance of the version could be connected to"})
		return
	}
	x.send(false)
}

// broken is a link that ended in the middle.
func (x *passage) broken() {
	k := x.k
	nothing := x.c.phase == waiting && !x.headed && len(k.unread()) == 0
	x.drop()
	switch {
	case nothing && k.used && x.again:
		x.again = false
		x.retries++
		x.send(true)
	case x.c.phase == waiting:
		x.fail(faultBroken, refusal{status: http.StatusBadGateway, reason: "the version broke the connection"})
	default: // the client must see that something is missing
		x.broke, x.fault = true, faultBody
		x.settle()
		x.c.close()
	}
}

// overdue is a version that does not answer.
func (x *passage) overdue() {
	x.drop()
	x.fail(faultTimeout, refusal{status: http.StatusGatewayTimeout, reason: "the version did not answer in time"})
}

// fail answers in place of the version, which has failed.
func (x *passage) fail(f fault, r refusal) {
	x.broke, x.fault = true, f
	if !x.shield(r.status, 0) {
		x.reply(r)
	}
}

// reply answers in place of the version.
func (x *passage) reply(r refusal) {
	x.status = r.status
	x.settle()
	x.c.answer(ownAnswer{id: x.id, refusal: r, end: x.end, toHEAD: x.toHEAD, version: x.fleet.version, shielded: x.standsIn})
}

// drop gives the link up.
func (x *passage) drop() {
	if x.calling != nil {
		x.calling.stop(errCut)
		x.calling = nil
	}
	if k := x.k; k != nil {
		x.k, k.x = nil, nil
		k.close()
	}
}

// cutOff ends the request because its version has drained (R17).
func (x *passage) cutOff() {
	if x.c.x != x || !x.ends() {
		return
	}
	x.drop()
	switch {
	case x.stream.Load(): // as if the version had ended it
		x.end = true
		x.over(x.lastOf())
	case x.c.phase == waiting:
		x.end = true
		x.reply(refusal{status: http.StatusServiceUnavailable, reason: "cut: " + errCut.Error()})
	default:
		x.settle()
		x.c.close()
	}
}

// lastOf ends an answer whose version has said no end.
func (x *passage) lastOf() []byte {
	if x.chunked {
		return http1.AppendLastChunk(nil, nil)
	}
	return nil
}

// abandoned is a client that has gone away.
func (x *passage) abandoned() {
	x.gone = true
	x.drop()
	x.settle()
}

// settle counts the outcome, unless it was counted at the head, and gives the ticket back.
func (x *passage) settle() {
	if x.c.x == x {
		x.c.x = nil
	}
	x.account()
}

// account counts the outcome and gives the ticket back.
func (x *passage) account() {
	if x.counted && x.broke {
		x.fleet.totals.broken.Add(1)
		x.harm()
	}
	o := x.outcome()
	x.count(o)
	x.moved(o)
	if x.gateway.access.wants() {
		a := x.accessOf(o)
		a.id, a.trace, a.traced, a.took = x.id, x.trace, true, time.Since(x.sent)
		x.gateway.access.add(x.c.seen(a))
	}
	x.finish()
}

func (x *passage) outcome() outcome {
	o := outcome{called: x.called, status: x.status, latency: x.latency(), fault: x.fault, in: max(0, x.length), out: x.carried}
	if x.broke || x.called.failure.Reached() || o.status >= 500 && !x.ended.Load() {
		o.failed = true
	} else {
		o.aborted = x.gone
	}
	return o
}

// latency is what the version took: until its head, and the time it was waited for
// during its body.
func (x *passage) latency() time.Duration {
	after := x.headAfter
	if !x.headed {
		after = x.c.loop.now.Sub(x.sent)
	}
	return max(0, after) + x.waited
}

// over is a request that is answered, but for what is sent last: it is counted before the
// client can know.
func (x *passage) over(last []byte) {
	c, k := x.c, x.k
	reuse := !x.res.Close
	if x.k = nil; x.calling != nil {
		x.calling.stop(nil) // of an answer that nobody hears to its end
		x.calling = nil
	}
	x.settle()
	if k != nil {
		k.free(reuse)
	}
	if !c.write(last) {
		c.lost()
		return
	}
	c.done(x.end)
}

// relay moves what the version says to the client, until one of them makes it wait.
func (x *passage) relay() {
	c, k := x.c, x.k
	if x.calling != nil {
		if len(c.out) == 0 {
			x.goOn()
		} else {
			c.late = c.loop.now.Add(c.loop.g.cfg.StallTimeout)
		}
		return
	}
	if !x.since.IsZero() && k.readable {
		x.waited += c.loop.now.Sub(x.since)
		x.since = time.Time{}
	}
	for turn := 0; c.x == x && x.k == k && len(c.out) == 0; turn++ {
		if turn == turnReads {
			c.loop.later = append(c.loop.later, func() {
				if c.x == x && x.k == k {
					c.loop.at = &k.sock
					x.relay()
				}
			})
			return
		}
		if len(k.unread()) > 0 {
			if got := x.take(); c.x != x || x.k != k {
				return
			} else if got {
				continue
			}
		}
		n, more := k.read()
		switch {
		case !more && x.headed && x.res.ToEOF && !k.broken:
			x.over(x.lastOf())
			return
		case !more:
			x.broken()
			return
		case n == 0 && k.full():
			if x.headed || !k.grow(headBytes) {
				x.bad()
				return
			}
		case n == 0:
			if x.headed {
				x.since = c.loop.now
			}
			k.rest()
			return
		}
	}
	if c.x == x && len(c.out) > 0 {
		c.late = c.loop.now.Add(c.loop.g.cfg.StallTimeout)
	}
}

// bad is an answer that is none.
func (x *passage) bad() {
	k := x.k
	k.used = false
	x.broken()
}

// take takes what has come from the version, and reports whether that was anything whole.
func (x *passage) take() bool {
	if x.c.phase == waiting {
		return x.takeHead()
	}
	return x.takeBody()
}

// takeHead reads a head, and passes it on.
func (x *passage) takeHead() bool {
	c, k, l := x.c, x.k, x.c.loop
	n, err := x.res.Parse(k.unread(), l.answers, x.toHEAD)
	switch {
	case err != nil:
		x.bad()
		return false
	case n == 0:
		return false
	case x.res.Status == http.StatusContinue: // nobody here has asked for it
		k.from += n
		return true
	case x.res.Status == http.StatusSwitchingProtocols: // nor for this
		x.bad()
		return false
	case x.res.Status < http.StatusOK:
		l.out = http1.AppendEnd(x.res.Append(l.out[:0], http1.Framing{Length: -1}, nil))
		k.from += n
		x.again = false
		if !c.write(l.out) {
			c.lost()
		}
		return true
	}
	if x.shield(x.res.Status, n) {
		return false
	}
	x.headed, x.headAfter, x.status = true, l.now.Sub(x.sent), x.res.Status
	x.end = x.end || l.g.stopping.Load()
	x.chunked = !x.res.NoBody && (x.res.Chunked || x.res.ToEOF)
	x.left = max(0, x.res.Length)
	c.phase, c.late = relaying, time.Time{}
	if x.isStream() {
		x.stream.Store(true)
		x.count(x.outcome()) // it may last for hours
	}
	l.out = x.appendHead(l.out[:0])
	k.from += n
	done, ok := x.body(&l.out)
	return x.pass(done, ok)
}

// takeBody passes on what has come of a body.
func (x *passage) takeBody() bool {
	l := x.c.loop
	l.out = l.out[:0]
	done, ok := x.body(&l.out)
	return x.pass(done, ok)
}

// pass sends what was put together, and ends what is whole.
func (x *passage) pass(done, ok bool) bool {
	c := x.c
	switch {
	case done && ok:
		x.over(c.loop.out)
	case !c.write(c.loop.out):
		c.lost()
	case !ok:
		x.bad()
	default:
		c.late = time.Time{}
	}
	return true
}

// body adds what has come of the body to out, framed as the client gets it. done says that
// it is whole, and ok that it is as it was announced.
func (x *passage) body(out *[]byte) (done, ok bool) {
	k := x.k
	switch {
	case x.res.NoBody:
		return true, true
	case x.res.Chunked:
		return x.chunkedBody(out)
	case x.res.ToEOF:
		*out = http1.AppendChunk(*out, k.unread())
		x.carried += int64(len(k.unread()))
		k.from = k.to
		return false, true
	}
	n := min(int64(len(k.unread())), x.left)
	*out = append(*out, k.unread()[:n]...)
	k.from += int(n)
	x.left -= n
	x.carried += n
	return x.left == 0, true
}

// isStream reports whether the answer is one that lasts: see [isStream].
func (x *passage) isStream() bool {
	v, ok := x.res.Value("content-type")
	if !ok || len(v) == 0 || v[0]|0x20 != 't' && v[0]|0x20 != 'm' && v[0]|0x20 != 'a' {
		return false
	}
	if bytes.HasPrefix(v, []byte("text/html")) || bytes.HasPrefix(v, []byte("application/json")) {
		return false
	}
	t, _, err := mime.ParseMediaType(string(v))
	return err == nil && (t == "text/event-stream" || t == "multipart/x-mixed-replace" || strings.HasPrefix(t, "application/grpc"))
}

// chunkedBody takes the data out of the version's chunks, and makes chunks of it anew.
func (x *passage) chunkedBody(out *[]byte) (done, ok bool) {
	k := x.k
	for len(k.unread()) > 0 && !x.chunks.Done() {
		data, used, err := x.chunks.Feed(k.unread(), x.c.loop.answers)
		if err != nil {
			return false, false
		}
		*out = http1.AppendChunk(*out, data)
		x.carried += int64(len(data))
		k.from += used
	}
	if x.chunks.Done() {
		*out = http1.AppendLastChunk(*out, &x.chunks.Trailers)
		return true, true
	}
	return false, true
}
