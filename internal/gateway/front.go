package gateway

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// via names this hop in requests and responses.
const via = "1.1 titrate"

// front is the HTTP half on net/http: it makes arrivals of requests, forwards
// them to the instance of their ticket, and tells the ticket what came of it.
type front struct {
	g        *Gateway
	internal bool // serves the listener for calls between workloads
	plain    bool // leads hosts that have a certificate to HTTPS
	proxy    *httputil.ReverseProxy
	control  http.Handler // the server's own door; nil where there is none
}

// exchange is one request under way.
type exchange struct {
	*ticket
	front *front
	id    string
	trace trace
	in    *http.Request
	out   *answer
	body  *clientBody // nil: it has none
	began time.Time

	uploading  atomic.Int64 // nanoseconds waited for the client's body
	headAfter  time.Duration
	headed     bool
	waited     time.Duration // for the version's body
	received   atomic.Int64  // bytes of bodies from the client
	answered   atomic.Int64  // and from the version
	clientGone atomic.Bool   // reading from it or writing to it failed
	badBody    atomic.Bool   // its body was not HTTP
	broke      bool          // the version failed
	fault      fault         // how
	conns      int           // that the transport has had for it
	kept       *keptBody     // of a function's request
	replay     *replay       // of one that stable may have to answer; nil: it has no body, or it is not kept
	called     called        // a function: how it went
	clock      atomic.Pointer[time.Timer]
	late       atomic.Int32 // where the route has a timeout: whether that or the head came first
}

type exchangeKey struct{}

// ServeHTTP routes, forwards and counts one request.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	noteSecure(r)
	id := requestID(r.Header)
	if f.g.stopping.Load() {
		w.Header().Set("Connection", "close")
	}
	if r.Method == http.MethodConnect {
		reply(w, id, refusal{status: http.StatusMethodNotAllowed, reason: "this gateway opens no tunnels to elsewhere"})
		return
	}
	if f.proves(w, r) || f.controls(w, r, id) || f.leads(w, r, id) || f.own(w, r) {
		return
	}
	if !printable(r.Header.Get("Upgrade")) {
		reply(w, id, refusal{status: http.StatusBadRequest, reason: "the Upgrade header names no protocol"})
		return
	}
	t, ref := f.g.admit(f.arrival(r))
	if ref != nil {
		reply(w, id, *ref)
		if f.g.access.wants() {
			a := f.g.accessRefused(t, ref)
			a.id, a.took = id, time.Since(began)
			f.g.access.add(a.from(r))
		}
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	x := &exchange{ticket: t, front: f, id: id, in: r, began: began}
	x.out = &answer{ResponseWriter: w, x: x, control: http.NewResponseController(w)}
	t.begin(func(cause error) {
		cancel(cause)
		// A client that takes nothing must not hold up what is cut.
		_ = x.out.control.SetWriteDeadline(time.Now().Add(time.Second))
	})
	defer x.finish()
	if r.ContentLength != 0 {
		// The version may answer before it has read all; without this the server
		// would take the rest of the body for itself. Not every writer can.
		_ = x.out.control.EnableFullDuplex()
	}
	out := r.WithContext(httptrace.WithClientTrace(context.WithValue(ctx, exchangeKey{}, x), &httptrace.ClientTrace{GotConn: x.connected}))
	if r.ContentLength != 0 {
		x.body = &clientBody{ReadCloser: r.Body, x: x, stall: f.g.cfg.StallTimeout}
		out.Body = x.body
	}
	f.proxy.ServeHTTP(x.out, out)
}

// connected notes that the transport has a connection for the request: by the second it
// sends once more what the first has closed upon.
func (x *exchange) connected(httptrace.GotConnInfo) {
	if x.conns++; x.conns > 1 {
		x.retries++
	}
}

// logged leaves a line in the access log.
func (x *exchange) logged(o outcome) {
	a := x.accessOf(o)
	a.id, a.trace, a.traced, a.took = x.id, x.trace, x.trace.text[0] != 0, time.Since(x.began)
	x.gateway.access.add(a.from(x.in))
}

// from adds what a request says.
func (a access) from(r *http.Request) access {
	a.asked, a.host, a.agent, a.scheme = asked{r.Method, r.URL.Path}, r.Host, r.UserAgent(), "http"
	if r.TLS != nil {
		a.scheme = "https"
	}
	if a.protocol = "1." + strconv.Itoa(r.ProtoMinor); r.ProtoMajor != 1 {
		a.protocol = strconv.Itoa(r.ProtoMajor)
	}
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		a.client = at.Addr()
	}
	return a
}

// arrival says what the router has to know of a request.
func (f *front) arrival(r *http.Request) arrival {
	a := arrival{
		internal: f.internal, method: r.Method, host: r.Host, path: r.URL.Path,
		version: r.Header.Get(HeaderVersion), token: r.Header.Get(HeaderPreview),
		head: (*netHead)(r), secure: r.TLS != nil || f.g.trusts(r.RemoteAddr) && r.Header.Get("X-Forwarded-Proto") == "https",
	}
	if r.URL.RawPath != "" {
		a.raw = r.URL.EscapedPath()
	}
	if r.Method == http.MethodOptions {
		a.wants = r.Header.Get("Access-Control-Request-Method")
	}
	if f.internal {
		a.local = localOf(r)
		return a
	}
	if a.token == "" && strings.Contains(a.host, "--") {
		if a.link = queryValue(r.URL.RawQuery, PreviewParam); a.link == "" {
			a.link = cookieValue(r.Header["Cookie"], PreviewParam)
		}
	}
	return a
}

// finish counts the outcome, unless it was counted at its head, and gives the
// ticket back. It also runs when the handler panics, as it does to break off.
func (x *exchange) finish() {
	x.stopClock()
	x.out.extend() // the server flushes after the handler, perhaps long after the last write
	if x.body != nil {
		x.body.over.Store(true)
		if !x.body.read.Load() {
			// The server reads on, to see whether it can keep the connection.
			_ = x.out.control.SetReadDeadline(time.Now().Add(x.gateway.cfg.StallTimeout))
		}
	}
	o := x.outcome()
	if x.counted && x.broke {
		x.fleet.totals.broken.Add(1)
		x.harm()
	}
	x.count(o)
	x.moved(o)
	if x.gateway.access.wants() {
		x.logged(o)
	}
	x.ticket.finish()
}

// outcome says what came of the exchange so far.
func (x *exchange) outcome() outcome {
	o := outcome{called: x.called, status: x.out.status, latency: x.latency(), fault: x.fault, in: x.received.Load(), out: x.answered.Load()}
	if x.broke || x.called.failure.Reached() || o.status >= 500 && !x.ended.Load() {
		o.failed = true
	} else {
		o.aborted = x.gone()
	}
	return o
}

// gone reports whether the client went away. The handler still runs, so a
// context that has ended can only mean that.
func (x *exchange) gone() bool { return x.clientGone.Load() || x.in.Context().Err() != nil }

// latency is what the version took: until its head, without the time it waited
// for the client's body, and the time it was waited for during its own. A slow
// client is not a slow version.
func (x *exchange) latency() time.Duration {
	head := x.headAfter
	if !x.headed {
		head = time.Since(x.began) - time.Duration(x.uploading.Load())
	}
	return max(0, head) + x.waited
}

// printable reports whether s is printable ASCII.
func printable(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// head notes that the version's response head has come; false: its route's timeout was
// first.
func (x *exchange) head() bool {
	if !x.late.CompareAndSwap(0, inTime) && x.late.Load() == tooLate {
		return false
	}
	x.stopClock()
	x.headed, x.headAfter = true, time.Since(x.began)-time.Duration(x.uploading.Load())
	return true
}
