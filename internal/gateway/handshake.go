package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"golang.org/x/sys/unix"
)

// serveSecure accepts connections of TLS until the listener is closed. When hands have been
// shaken those that speak HTTP/2 are net/http's; what the others send is looked at first.
func (s *side) serveSecure(ctx context.Context) error {
	for {
		c, err := s.listener.Accept()
		switch {
		case err == nil:
			s.door.moved.given.Add(1)
			go s.handshake(c)
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM):
			select { // what is open goes on, and who comes waits
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		case errors.Is(err, unix.ECONNABORTED):
		default:
			return err
		}
	}
}

// handshake has as much time as a head.
func (s *side) handshake(c net.Conn) {
	defer s.door.moved.given.Add(-1)
	ctx, cancel := context.WithTimeout(context.Background(), s.door.g.cfg.HeaderTimeout)
	defer cancel()
	t := tls.Server(s.door.introduced(c), s.server.TLSConfig)
	if err := t.HandshakeContext(ctx); err != nil {
		var plain tls.RecordHeaderError
		if errors.As(err, &plain) && plain.Conn != nil && isHTTP(plain.RecordHeader) {
			_, _ = io.WriteString(plain.Conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 40\r\n\r\nthis port speaks HTTPS: ask by https://\n")
		}
		c.Close()
		return
	}
	state := t.ConnectionState()
	if state.NegotiatedProtocol == "h2" {
		s.door.moved.Give(t, nil)
		return
	}
	in := newStrict(t, nil, s.door.g.cfg)
	in.secure = &state
	s.door.moved.Give(in, nil)
}

// isHTTP reports whether what came in the place of TLS is a request.
func isHTTP(start [5]byte) bool {
	switch string(start[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH":
		return true
	}
	return false
}

type secureKey struct{}

// withSecure lets the requests of a connection know that it is one of TLS.
func withSecure(ctx context.Context, c net.Conn) context.Context {
	if in, ok := c.(*strict); ok && in.secure != nil {
		return context.WithValue(ctx, secureKey{}, in.secure)
	}
	return ctx
}

// noteSecure is r.TLS as it is for connections that net/http knows to be of TLS.
func noteSecure(r *http.Request) {
	if state, ok := r.Context().Value(secureKey{}).(*tls.ConnectionState); ok {
		r.TLS = state
	}
}
