package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// newProxy makes the reverse proxy that every exchange of a front goes through.
// It is the standard library's; what is ours is where a request goes, what is
// told to either side, and what is noted of it.
func newProxy(g *Gateway) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:        rewrite,
		Transport:      failOver{},
		ModifyResponse: respond,
		ErrorHandler:   fail,
		BufferPool:     &buffers{},
		ErrorLog:       slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
}

func exchangeOf(ctx context.Context) *exchange {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		panic("gateway: a request without its exchange")
	}
	return x
}

// rewrite makes the request that goes to the version.
func rewrite(p *httputil.ProxyRequest) {
	x := exchangeOf(p.In.Context())
	out := p.Out
	out.URL.Scheme = "http"
	out.URL.RawQuery = withoutQuery(p.In.URL.RawQuery, PreviewParam) // else as it came, even where Go could not read it
	out.Host = p.In.Host
	if x.route != nil && x.route.rewrites {
		x.rewrite(out)
	}
	out.Header.Set(headerRequestID, x.id)
	x.trace.followed(out.Header)
	out.Header.Add("Via", via)
	out.Header.Del(HeaderVersion)
	out.Header.Del(HeaderPreview)
	if lines := out.Header["Cookie"]; len(lines) > 0 {
		if lines = withoutCookie(lines, PreviewParam); len(lines) > 0 {
			out.Header["Cookie"] = lines
		} else {
			out.Header.Del("Cookie")
		}
	}
	if strings.EqualFold(out.Header.Get("Upgrade"), "h2c") { // would hide requests from the accounts
		out.Header.Del("Upgrade")
		out.Header.Del("Connection")
		out.Header.Del("Http2-Settings")
	}
	forwarded(p, x)
	if b, ok := p.In.Body.(*clientBody); ok && out.Body != nil {
		// The proxy's own wrapper would be shut by the first attempt.
		out.Body, out.GetBody = b, b.again
		if len(out.Trailer) > 0 {
			b.trailer = out.Trailer
		}
	}
}

// rewrite puts the route's path and host in place of those that came.
func (x *exchange) rewrite(out *http.Request) {
	if to := x.route.rewritten(x.front.arrival(x.in)); to != "" {
		if path, err := url.PathUnescape(to); err == nil {
			out.URL.Path, out.URL.RawPath = path, to
		}
	}
	if to := x.route.asHost(); to != "" {
		out.Host = to
	}
}

// forwarded says who asked. What a client says of itself is believed on internal
// calls and from trusted proxies only.
func forwarded(p *httputil.ProxyRequest, x *exchange) {
	if x.front.internal || x.gateway.trusts(p.In.RemoteAddr) {
		for _, h := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
			if v := p.In.Header[h]; len(v) > 0 {
				p.Out.Header[h] = slices.Clone(v)
			}
		}
	} else {
		maps.DeleteFunc(p.Out.Header, func(name string, _ []string) bool { return saysWho(name) })
	}
	host, proto := p.Out.Header.Get("X-Forwarded-Host"), p.Out.Header.Get("X-Forwarded-Proto")
	p.SetXForwarded()
	if host != "" {
		p.Out.Header.Set("X-Forwarded-Host", host)
	}
	if proto != "" {
		p.Out.Header.Set("X-Forwarded-Proto", proto)
	}
}

// saysWho reports whether a header is one that applications take a proxy's word
// from. CGI and WSGI read `_` in a name as `-`.
func saysWho(name string) bool {
	if len(name) < len("Forwarded") || name[0] != 'X' && name[0] != 'F' {
		return false // most of them, told apart at once
	}
	name = http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
	return strings.HasPrefix(name, "X-Forwarded-") || slices.Contains([]string{"Forwarded", "X-Real-Ip", "X-Original-Url", "X-Rewrite-Url"}, name)
}

func (g *Gateway) trusts(remote string) bool {
	if len(g.cfg.TrustedProxy) == 0 {
		return false
	}
	at, err := netip.ParseAddrPort(remote)
	return err == nil && g.trustsAddr(at.Addr())
}

func (g *Gateway) trustsAddr(remote netip.Addr) bool {
	return slices.ContainsFunc(g.cfg.TrustedProxy, func(p netip.Prefix) bool { return p.Contains(remote.Unmap()) })
}

// respond changes the head of the version's response.
func respond(res *http.Response) error {
	x := exchangeOf(res.Request.Context())
	if !x.head() {
		return errLate
	}
	h := res.Header
	x.route.change(h)
	h.Set(HeaderVersion, x.fleet.version.String())
	h.Del(HeaderShielded)
	if x.standsIn {
		h.Set(HeaderShielded, "1")
	}
	if h.Get(headerRequestID) == "" {
		h.Set(headerRequestID, x.id)
	}
	h.Add("Via", via)
	if x.gateway.stopping.Load() && res.StatusCode != http.StatusSwitchingProtocols {
		x.out.Header().Set("Connection", "close")
	}
	if x.preview {
		keepPreview(h, x)
	}
	if isStream(res) {
		x.stream.Store(true)
		// Counted now: it may last for hours. What comes later is in no window.
		x.count(outcome{called: x.called, status: res.StatusCode, failed: x.called.failure.Reached(), latency: x.latency()})
	}
	if rw, ok := res.Body.(io.ReadWriteCloser); ok && res.StatusCode == http.StatusSwitchingProtocols {
		res.Body = tunnel{rw, x}
	} else {
		res.Body = &versionBody{ReadCloser: res.Body, x: x}
	}
	return nil
}

// keepPreview turns a token from the address into a cookie of that preview host,
// so that what a page loads is let in too.
func keepPreview(h http.Header, x *exchange) {
	token := queryValue(x.in.URL.RawQuery, PreviewParam)
	until, err := expiry(token)
	if err != nil {
		return
	}
	c := http.Cookie{
		Name: PreviewParam, Value: token, Path: "/", Expires: time.Unix(until, 0),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: x.in.TLS != nil,
	}
	h.Add("Set-Cookie", c.String())
	h.Set("Referrer-Policy", "same-origin") // the address holds the token
}

// isStream reports whether a response is one that lasts: its end says nothing
// about the version's speed, and a drain closes it.
func isStream(res *http.Response) bool {
	if res.StatusCode == http.StatusSwitchingProtocols {
		return true
	}
	t, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return err == nil && (t == "text/event-stream" || t == "multipart/x-mixed-replace" || strings.HasPrefix(t, "application/grpc"))
}

// fail ends an exchange that got no response from its version.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r.Context())
	var timeout net.Error
	var ref refusedError
	switch {
	case errors.As(err, &ref):
		reply(w, x.id, *ref.refusal)
		return
	case x.out.hijacked:
		return // the tunnel never came to be; there is nobody to tell
	case x.ended.Load():
		reply(w, x.id, refusal{status: http.StatusServiceUnavailable, reason: "cut: " + errCut.Error()})
		return
	case x.badBody.Load():
		reply(w, x.id, refusal{status: http.StatusBadRequest, reason: "the request's body is not valid HTTP"})
		return
	case x.late.Load() == tooLate:
		err = errLate
	case x.gone() || isCanceled(err):
		panic(http.ErrAbortHandler)
	}
	x.broke = true
	x.fault = faultBroken
	told := refusal{status: http.StatusBadGateway, reason: "the version broke the connection"}
	var dial *dialError
	switch {
	case errors.As(err, &dial):
		x.fault = faultConnect
		told.reason = "no instance of the version could be connected to"
	case errors.As(err, &timeout) && timeout.Timeout():
		x.fault = faultTimeout
		told = refusal{status: http.StatusGatewayTimeout, reason: "the version did not answer in time"}
	}
	x.gateway.log.Debug("request failed", slog.String("app", x.lane.key.App), slog.String("env", x.lane.key.Env),
		slog.String("workload", x.lane.key.Workload), slog.String("version", x.fleet.version.String()),
		slog.String("instance", x.instance.ID), slog.String("request", x.id), slog.Any("error", err))
	w.Header().Set(HeaderVersion, x.fleet.version.String())
	if x.standsIn {
		w.Header().Set(HeaderShielded, "1")
	}
	reply(w, x.id, told)
}

// buffers lends the buffers that bodies are copied with.
type buffers struct{ pool sync.Pool }

const bufferSize = 32 << 10

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return p[:]
	}
	return make([]byte, bufferSize)
}

func (b *buffers) Put(p []byte) { b.pool.Put((*[bufferSize]byte)(p)) }
