package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// clientBody is a request's body on its way to the version. Closing it is left
// to the server, so that another instance can be tried.
type clientBody struct {
	io.ReadCloser
	x       *exchange
	stall   time.Duration // that the client may be silent
	touched atomic.Bool   // read from: it cannot be sent again
	read    atomic.Bool   // to its end
	over    atomic.Bool   // the handler is ending: reading on is the server's matter
	trailer http.Header   // of the request to the version: filled at the body's end
}

func (b *clientBody) Read(p []byte) (int, error) {
	if b.over.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	b.touched.Store(true)
	x, began := b.x, time.Now()
	_ = x.out.control.SetReadDeadline(began.Add(b.stall))
	n, err := b.ReadCloser.Read(p)
	x.uploading.Add(int64(time.Since(began)))
	x.received.Add(int64(n))
	if err == nil || errors.Is(err, http.ErrBodyReadAfterClose) {
		return n, err
	}
	// The server now watches the connection for the client's leaving: a deadline
	// would look like that.
	_ = x.out.control.SetReadDeadline(time.Time{})
	switch {
	case errors.Is(err, io.EOF):
		b.read.Store(true)
		for k := range b.trailer { // known only now, and written after the body
			b.trailer[k] = x.in.Trailer[k]
		}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded), isReset(err):
		x.clientGone.Store(true)
	default:
		x.badBody.Store(true)
	}
	return n, err
}

// Close does nothing: see clientBody.
func (b *clientBody) Close() error { return nil }

// again gives the body out once more, to an attempt that follows one that has
// read nothing of it.
func (b *clientBody) again() (io.ReadCloser, error) {
	if b.touched.Load() {
		return nil, errSent
	}
	return b, nil
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}

// versionBody is a response's body on its way to the client.
type versionBody struct {
	io.ReadCloser
	x *exchange
}

func (b *versionBody) Read(p []byte) (int, error) {
	x := b.x
	began := time.Now()
	n, err := b.ReadCloser.Read(p)
	x.waited += time.Since(began)
	x.answered.Add(int64(n))
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	if x.ended.Load() {
		if x.stream.Load() {
			return n, io.EOF // a drained stream ends as if the version had ended it (R17)
		}
		return n, err
	}
	if !x.gone() {
		x.broke, x.fault = true, faultBody
	}
	return n, err
}

// tunnel is the version's end of an upgraded connection.
type tunnel struct {
	io.ReadWriteCloser
	x *exchange
}

func (t tunnel) Read(p []byte) (int, error) {
	n, err := t.ReadWriteCloser.Read(p)
	t.x.answered.Add(int64(n))
	return n, err
}

func (t tunnel) Write(p []byte) (int, error) {
	n, err := t.ReadWriteCloser.Write(p)
	t.x.received.Add(int64(n))
	return n, err
}

// CloseWrite passes the client's half-close on where the connection can.
func (t tunnel) CloseWrite() error {
	if c, ok := t.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// answer is the client's end of a response.
type answer struct {
	http.ResponseWriter
	x        *exchange
	control  *http.ResponseController
	status   int // of the final head; 0: none was sent
	hijacked bool
}

// Unwrap lets response controllers reach the server's own writer.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// extend gives the client StallTimeout from now to take what is written next.
func (a *answer) extend() {
	if !a.hijacked {
		_ = a.control.SetWriteDeadline(time.Now().Add(a.x.gateway.cfg.StallTimeout))
	}
}

func (a *answer) WriteHeader(status int) {
	// The version's 100 makes the transport read the body, and with the first read
	// the server says 100 itself: saying it here too would say it twice.
	if a.hijacked || status == http.StatusContinue {
		return
	}
	a.extend()
	if status >= 200 && a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	a.extend()
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(p)
	if err != nil {
		a.x.clientGone.Store(true)
	}
	return n, err
}

// Hijack hands the connection to a tunnel, with what the client has already sent
// after its request.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := a.control.Hijack()
	if err != nil {
		return nil, nil, err
	}
	if s, ok := c.(*strict); ok {
		s.tunnel()
	}
	a.hijacked, a.status = true, http.StatusSwitchingProtocols
	return &hijackedConn{Conn: c, buffered: rw.Reader}, rw, nil
}

type hijackedConn struct {
	net.Conn
	buffered *bufio.Reader
}

func (c *hijackedConn) Read(p []byte) (int, error) {
	if c.buffered != nil {
		if n := c.buffered.Buffered(); n > 0 {
			return c.buffered.Read(p[:min(n, len(p))])
		}
		c.buffered = nil
	}
	return c.Conn.Read(p)
}

// CloseWrite passes the version's half-close on where the connection can.
func (c *hijackedConn) CloseWrite() error {
	if h, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return nil
}

// isCanceled reports whether err is the end of a request's context.
func isCanceled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, errCut)
}
