package gateway

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// Control is the server's own door: what comes over TLS to Host is led to it, and
// counted for nobody. Whoever asks there shows a token, so it is never served over
// plain HTTP, and no app can have the host.
type Control struct {
	Host string // in normal form; empty: there is none
	Addr string // where the server listens, on this machine
	// Header is set to Secret on what is led there, and X-Forwarded-For to the client:
	// so the server knows whom to believe.
	Header, Secret string
}

// controls answers for the server's host, and leaves all others alone.
func (f *front) controls(w http.ResponseWriter, r *http.Request, id string) bool {
	if f.g.cfg.Control.Host == "" || f.internal {
		return false
	}
	if host, ok := hostName(r.Host); !ok || host != f.g.cfg.Control.Host {
		return false
	}
	switch {
	case r.TLS != nil:
		// git hears progress before it has sent its last byte. HTTP/2 needs no word.
		_ = http.NewResponseController(w).EnableFullDuplex()
		f.control.ServeHTTP(w, r)
	case f.leads(w, r, id):
	case f.plain:
		reply(w, id, refusal{status: http.StatusServiceUnavailable, reason: "this host is served over HTTPS only, and has no valid certificate yet: titrate certificate ls"})
	default:
		reply(w, id, refusal{status: http.StatusForbidden, reason: "this host is served over HTTPS only"})
	}
	return true
}

// newControl leads requests to the server.
func newControl(c Control, log *slog.Logger) http.Handler {
	var d net.Dialer
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: c.Addr})
			p.Out.Host = p.In.Host
			p.Out.Header.Del("Forwarded")
			p.SetXForwarded() // alone: what the client says of it has been taken off
			p.Out.Header.Set(c.Header, c.Secret)
		},
		FlushInterval: -1, // events and git's progress
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
				defer cancel()
				return d.DialContext(ctx, network, c.Addr)
			},
			// The server may be started anew at any time: a connection that was kept
			// would fail a request that a new one does not.
			DisableKeepAlives: true, DisableCompression: true,
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil {
				log.Warn("the server cannot be asked", slog.Any("error", err))
			}
			reply(w, requestID(r.Header), refusal{status: http.StatusBadGateway, reason: "the server does not answer; it is started again, and traffic flows on without it"})
		},
	}
}
