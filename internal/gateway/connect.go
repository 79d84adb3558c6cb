package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// idleUpstream is how long an idle connection to an instance is kept: shorter
// than any server in use closes its own, so that no request meets a connection
// just being closed. Under load connections are not idle; without load a new one
// to the same machine costs nothing.
const idleUpstream = time.Second

// dialError is a connection that did not come about: the instance has seen
// nothing of the request, so that another may be tried.
type dialError struct{ error }

func (e *dialError) Unwrap() error { return e.error }

// pool is an instance's connections.
type pool struct {
	*http.Transport
	patient *http.Transport // for routes that have a timeout of their own
}

func (p pool) close() {
	p.CloseIdleConnections()
	p.patient.CloseIdleConnections()
}

// connect makes the connections of an instance; a function needs none.
func (g *Gateway) connect(e Endpoint) upstream {
	if e.Callee != nil {
		return callee{e.Callee}
	}
	dialer := net.Dialer{Timeout: g.cfg.ConnectTimeout}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, &dialError{err}
			}
			return c, nil
		},
		Protocols:              protocols,
		DisableCompression:     true, // what the client and the version agree on is theirs
		MaxIdleConnsPerHost:    1024,
		IdleConnTimeout:        idleUpstream,
		ResponseHeaderTimeout:  g.cfg.ResponseTimeout,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 256 << 10,
	}
	patient := t.Clone()
	patient.ResponseHeaderTimeout = 0
	return pool{t, patient}
}

// failOver sends an exchange's request to the instance of its ticket, and to
// another of the same version where that one cannot be connected to (R5). A
// connection that was kept and turns out dead is replaced by the transport, if
// nothing was sent or the request may be repeated. A function is called instead.
type failOver struct{}

// What a candidate fails is sent to stable (R25).
func (f failOver) RoundTrip(r *http.Request) (*http.Response, error) {
	x := exchangeOf(r.Context())
	r = x.keep(r)
	res, err := f.send(x, r)
	if again := x.shield(r, res, err); again != nil {
		return f.send(x, again)
	}
	return res, err
}

func (failOver) send(x *exchange, r *http.Request) (*http.Response, error) {
	for {
		if c, ok := x.instance.upstream.(callee); ok {
			res, again, err := x.call(c, r)
			if again {
				continue
			}
			return res, err
		}
		p, ok := x.instance.upstream.(pool)
		if !ok {
			panic("gateway: an instance of another front")
		}
		r.URL.Host = x.instance.Addr
		var res *http.Response
		var err error
		if d := x.route.timeout(); d > 0 {
			res, err = x.within(d, p, r)
		} else {
			res, err = p.RoundTrip(r)
		}
		var dial *dialError
		if err == nil || !errors.As(err, &dial) || r.Context().Err() != nil || !x.next() {
			return res, err
		}
	}
}
