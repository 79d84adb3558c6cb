package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/http1"
	"titrate/internal/invocation"
)

const (
	wholeBytes = 64 << 10 // of an answer that is read before it is sent
	pieceBytes = 32 << 10 // of one that is not
)

// call is a function that works for a passage: what it answers comes from a goroutine of its
// own, and goes to the client or back to the loop.
type call struct {
	stop context.CancelCauseFunc
	next chan struct{} // of a streamed answer: the loop has sent the last piece
	// turn is whose the passage and its client's connection are: the loop's, until the
	// function's goroutine takes them to write a whole answer by itself.
	turn atomic.Int32
}

const (
	loopsTurn = iota
	callsTurn // the function has answered
	callsOver // and the loop is told
	loopsEnd  // the loop has ended the request
)

// functionAnswer is what a function answered.
type functionAnswer struct {
	res    *http.Response
	called called
	body   []byte // whole; of a streamed answer: nil
	whole  bool
	gone   bool // the version takes no calls any more
}

// call has the function answer.
func (x *passage) call(c callee) {
	ctx, stop := context.WithCancelCause(context.Background())
	k := &call{stop: stop, next: make(chan struct{}, 1)}
	x.calling, x.sent = k, x.c.loop.now
	// What has come behind the request is looked at when it is answered.
	x.c.missed.Store(x.c.readable || len(x.c.unread()) > x.c.length)
	x.c.late = time.Time{} // a function has its own
	r := x.request(ctx)
	l, id, real, tried := x.c.loop, x.id, !x.preview, x.onTrial()
	c.Begin(r, invocation.Call{ID: id, Real: real}, func(res *http.Response, done invocation.Called) {
		a := functionAnswer{res: res, called: called{done.Failure, done.Cold}, gone: done.Failure == invocation.Stopped}
		if res != nil && res.Body != nil && !a.gone {
			a.read()
		}
		// What a candidate fails may be for another to answer.
		if a.whole && a.sound() && (!tried || a.res.StatusCode < http.StatusInternalServerError) && x.say(k, a) {
			res.Body.Close()
			stop(nil)
			return
		}
		l.post(func() { x.answered(k, a) })
		go func() {
			defer stop(nil)
			if res == nil || res.Body == nil {
				return
			}
			defer res.Body.Close()
			if !a.whole && !a.gone {
				x.pump(ctx, k, res.Body)
			}
		}()
	})
}

// sound reports whether it is an answer that a client can be given.
func (a *functionAnswer) sound() bool {
	return !a.gone && a.called.failure != invocation.Canceled && a.res.StatusCode >= http.StatusOK && a.res.StatusCode <= 599
}

// answering reports whether the function's goroutine writes the answer. Then the loop leaves
// the passage and the connection alone, and is told when that is over.
func (x *passage) answering() bool {
	if x.calling == nil {
		return false
	}
	x.c.missed.Store(true)
	switch x.calling.turn.Load() {
	case callsTurn:
		return true
	case callsOver:
		x.c.loop.takePosted() // it may have been told without being woken
		return x.c.x == x
	}
	return false
}

// ends takes the request for the loop to end it; false when the function's goroutine
// answers it.
func (x *passage) ends() bool {
	if x.calling == nil {
		return true
	}
	x.c.missed.Store(true)
	return x.calling.turn.CompareAndSwap(loopsTurn, loopsEnd) || x.calling.turn.Load() == loopsEnd
}

// say writes a whole answer from the function's goroutine, without a wait for the loop; it is
// false where the loop has ended the request meanwhile.
func (x *passage) say(k *call, a functionAnswer) bool {
	if !k.turn.CompareAndSwap(loopsTurn, callsTurn) {
		return false
	}
	c, l, now := x.c, x.c.loop, time.Now()
	bodiless := x.noteHead(a, now)
	out := x.appendAnswer(make([]byte, 0, 1024+len(a.body)), a, bodiless, now.UTC().AppendFormat(nil, http.TimeFormat))
	if !bodiless {
		out = append(out, a.body...)
	}
	x.account() // before the client can know
	n, whole := writeNow(c.fd, out)
	rest := out[n:]
	k.turn.Store(callsOver)
	l.leave(func() { x.said(rest, whole) })
	if len(rest) > 0 || !whole || x.end || c.missed.Load() {
		l.post(func() {})
	}
	return true
}

// said goes on with the connection after say.
func (x *passage) said(rest []byte, whole bool) {
	c := x.c
	c.x, x.calling = nil, nil
	if !whole || !c.write(rest) {
		c.lost()
		return
	}
	c.done(x.end)
	if !c.closed && c.phase == reading && c.broken {
		c.lost()
	}
}

// writeNow sends what a socket takes now.
func writeNow(fd int, b []byte) (n int, whole bool) {
	for n < len(b) {
		put, err := unix.SendmsgN(fd, b[n:], nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return n, true
		case err != nil:
			return n, false
		default:
			n += put
		}
	}
	return n, true
}

// read reads a body that is short, and whose length is known.
func (a *functionAnswer) read() {
	if a.res.ContentLength < 0 || a.res.ContentLength > wholeBytes {
		return
	}
	body, err := io.ReadAll(io.LimitReader(a.res.Body, wholeBytes+1))
	if err == nil && len(body) <= wholeBytes {
		a.body, a.whole = body, true
	}
}

// pump brings a streamed answer to the loop, piece by piece, no faster than it is sent.
func (x *passage) pump(ctx context.Context, k *call, body io.Reader) {
	l := x.c.loop
	for {
		piece := make([]byte, pieceBytes)
		n, err := body.Read(piece)
		l.post(func() { x.streamed(k, piece[:n], err) })
		if err != nil {
			return
		}
		select {
		case <-k.next:
		case <-ctx.Done():
			return
		case <-l.ended:
			return
		}
	}
}

// request is the request as a function gets it: what [rewrite] makes of one.
func (x *passage) request(ctx context.Context) *http.Request {
	c, r := x.c, x.c.req
	trusted := c.door.internal || c.loop.g.trustsAddr(c.remote.Addr())
	omit := x.omit(trusted)
	h := make(http.Header, r.Len()+6)
	if x.trace.made {
		h[headerTraceParent] = []string{string(x.trace.text[:])}
	}
	for i := range r.Len() {
		if name, value := r.At(i); !r.Hop(i) && !omit(name, value) {
			key := http.CanonicalHeaderKey(string(name))
			h[key] = append(h[key], string(value))
		}
	}
	before, host, proto := "", string(r.Host), "http"
	if trusted {
		joined, forHost, forProto := appendBefore(nil, r, r.Host, []byte("http"))
		before, host, proto = string(joined), string(forHost), string(forProto)
	}
	h["X-Forwarded-For"] = []string{before + c.remote.Addr().Unmap().String()}
	h["X-Forwarded-Host"] = []string{host}
	h["X-Forwarded-Proto"] = []string{proto}
	h[headerRequestID] = []string{x.id}
	h["Via"] = append(h["Via"], via)
	out := &http.Request{
		Method: methodName(r.Method), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Host: string(r.Host), RemoteAddr: c.remote.String(), Body: http.NoBody,
	}
	if u, err := url.ParseRequestURI(string(r.Target)); err == nil {
		out.URL = u
	} else {
		out.URL = &url.URL{Path: string(r.Path), RawQuery: string(r.Query)}
	}
	if r.Length > 0 {
		body := bytes.Clone(c.unread()[c.length-int(r.Length) : c.length])
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), r.Length
	}
	return out.WithContext(ctx)
}

// answered is the head of a function's answer, or all of it.
func (x *passage) answered(k *call, a functionAnswer) {
	c, l := x.c, x.c.loop
	if c.x != x || x.calling != k {
		return // the client has gone, or the call was cut
	}
	x.called = a.called
	switch {
	case a.gone:
		x.calling = nil
		x.move()
		return
	case a.called.failure == invocation.Canceled: // it says that the client has gone
		c.lost()
		return
	case a.res == nil, a.res.StatusCode < http.StatusOK, a.res.StatusCode > 599:
		x.fail(faultBroken, refusal{status: http.StatusBadGateway, reason: errSilent.Error()})
		return
	}
	if x.shield(a.res.StatusCode, 0) {
		return
	}
	bodiless := x.noteHead(a, l.now)
	c.phase = relaying
	if !a.whole && isStream(a.res) {
		x.stream.Store(true)
		x.count(x.outcome())
	}
	l.out = x.appendAnswer(l.out[:0], a, bodiless, l.dateNow())
	switch {
	case bodiless:
		x.over(l.out)
	case a.whole:
		l.out = append(l.out, a.body...)
		x.over(l.out)
	case !c.write(l.out):
		c.lost()
	}
}

// noteHead notes the head of a function's answer, and reports whether it has no body.
func (x *passage) noteHead(a functionAnswer, now time.Time) (bodiless bool) {
	x.called = a.called
	x.headed, x.headAfter, x.status = true, now.Sub(x.sent), a.res.StatusCode
	x.end = x.end || x.gateway.stopping.Load()
	bodiless = x.toHEAD || x.status == http.StatusNoContent || x.status == http.StatusNotModified
	x.chunked = !bodiless && !a.whole && a.res.ContentLength < 0
	x.left = max(0, a.res.ContentLength)
	if !bodiless {
		x.carried = int64(len(a.body))
	}
	return bodiless
}

// appendAnswer adds the head of a function's answer as the client gets it.
func (x *passage) appendAnswer(out []byte, a functionAnswer, bodiless bool, date []byte) []byte {
	h := a.res.Header
	out = http1.AppendStatusLine(out, x.status, http.StatusText(x.status))
	framing := http1.Framing{Length: -1, Chunked: x.chunked}
	switch n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); {
	case a.whole && !bodiless:
		framing.Length = int64(len(a.body))
	case err == nil && n >= 0 && x.toHEAD:
		framing.Length = n
	case !x.chunked && !bodiless:
		framing.Length = a.res.ContentLength
	}
	for name, values := range h {
		if slices.Contains(gatewaysOwn, name) {
			continue
		}
		for _, v := range values {
			out = http1.AppendField(out, name, v)
		}
	}
	out = append(out, HeaderVersion+": v"...)
	out = strconv.AppendInt(out, int64(x.fleet.version), 10)
	out = append(out, "\r\n"...)
	if x.standsIn {
		out = append(out, HeaderShielded+": 1\r\n"...)
	}
	if len(h[headerRequestID]) == 0 {
		out = http1.AppendField(out, headerRequestID, x.id)
	}
	out = append(out, "Via: "+via+"\r\n"...)
	if len(h["Date"]) == 0 {
		out = http1.AppendField(out, "Date", date)
	}
	out = http1.AppendFraming(out, framing)
	if x.end {
		out = append(out, "Connection: close\r\n"...)
	}
	return http1.AppendEnd(out)
}

// gatewaysOwn is what a function does not say of its answer: the gateway does.
var gatewaysOwn = []string{"Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "Upgrade", "Trailer", "Te", HeaderVersion, HeaderShielded}

// streamed is a piece of a function's answer, and its end.
func (x *passage) streamed(k *call, piece []byte, err error) {
	c, l := x.c, x.c.loop
	if c.x != x || x.calling != k {
		return
	}
	if !x.since.IsZero() {
		x.waited += l.now.Sub(x.since)
	}
	l.out = l.out[:0]
	x.carried += int64(len(piece))
	if x.chunked {
		l.out = http1.AppendChunk(l.out, piece)
	} else {
		l.out = append(l.out, piece[:min(x.left, int64(len(piece)))]...)
		if x.left -= int64(len(piece)); x.left < 0 || x.left > 0 && errors.Is(err, io.EOF) {
			err = errLength
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		l.out = append(l.out, x.lastOf()...)
		x.over(l.out)
		return
	case err != nil: // the client must see that something is missing
		x.broke, x.fault = true, faultBody
		_ = c.write(l.out)
		x.settle()
		c.close()
		return
	case !c.write(l.out):
		c.lost()
		return
	}
	x.relay()
}

// errLength is an answer that is longer or shorter than it has said.
var errLength = errors.New("the answer is not as long as announced")

// goOn asks for the next piece of a streamed answer.
func (x *passage) goOn() {
	x.since = x.c.loop.now
	select {
	case x.calling.next <- struct{}{}:
	default: // it has been asked for
	}
}

// move takes the request from a version that takes no calls any more to where the newest
// table leads.
func (x *passage) move() {
	a, ok := x.c.arrivalOf()
	if !ok {
		x.reply(refusal{status: http.StatusBadRequest, reason: "the path cannot be read"})
		return
	}
	next, ref := x.redraw(func(s *snapshot) (way, *refusal) { return s.find(a, x.gateway.cfg) })
	switch {
	case ref == nil && next == nil: // it was cut, which is on its way
	case ref == nil:
		x.ticket = next
		next.begin(x.cutter())
		x.dispatch()
	case next != nil:
		next.unready(ref)
		x.ticket = next
		x.reply(*ref)
	default: // refused before a version was drawn: on nobody's account
		x.counted = true
		x.reply(*ref)
	}
}
