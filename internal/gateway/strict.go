package gateway

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"titrate/internal/http1"
)

// strict is a connection that the front on net/http serves, of which it gets to read nothing
// that two parsers could read differently: heads and the framing of bodies are looked at as
// they come. In the place of what is refused stands what net/http refuses, and then nothing,
// so that requests before it are answered as ever.
type strict struct {
	net.Conn
	secure *tls.ConnectionState // nil: it is not one of TLS
	limits http1.Limits

	req    http1.Request
	chunks http1.Chunks
	part   part
	left   int64  // of a body with a length
	in     []byte // read, and not looked at
	out    []byte // looked at, and not given out; at the start of what in is of

	offered bool // the last head offers to go on with another protocol: what follows may be of that
	early   int  // bytes of in that were given out all the same: one at the most

	waits   time.Duration // of a client that sends no more for its answer
	over    atomic.Bool   // the deadline for reading is, or the connection is closed
	changed chan struct{} // that may have
}

// part is what comes next on a connection.
type part uint8

const (
	partHead part = iota
	partLength
	partChunks
	partTunnel // no HTTP any more
	partNone   // what came last was refused
)

// What net/http refuses: as a head, and anywhere in the framing of chunks.
const (
	noHead  = "!\r\n\r\n"
	noChunk = "\n\n"
)

const strictBytes = 4 << 10 // that are read at a time

// newStrict makes one of which something was read. Heads that are too long are net/http's to
// refuse, which knows the status for it.
func newStrict(c net.Conn, read []byte, cfg Config) *strict {
	most := 2 * max(cfg.MaxHeader, http.DefaultMaxHeaderBytes/16)
	return &strict{Conn: c, waits: cfg.HalfClosed, changed: make(chan struct{}, 1), in: read, limits: http1.Limits{Head: most, Line: most, Fields: most, Trailers: most}}
}

// Read implements net.Conn.
func (s *strict) Read(p []byte) (int, error) {
	for len(p) > 0 {
		if len(s.out) > 0 {
			n := copy(p, s.out)
			s.out = s.out[n:]
			return n, nil
		}
		switch s.part {
		case partNone:
			return 0, io.EOF
		case partTunnel, partLength:
			if len(s.in) > 0 {
				s.let(s.of(len(s.in)))
				continue
			}
			n, err := s.Conn.Read(p[:s.of(len(p))])
			s.gone(n)
			return n, err
		case partHead:
			switch looks := s.offered && len(p) == 1; { // net/http does, whether the client is there
			case looks && s.early == 0 && len(s.in) > 0:
				s.early = 1
				p[0] = s.in[0]
				return 1, nil
			case !looks && s.head():
				continue
			}
		case partChunks:
			if s.chunk() {
				continue
			}
		}
		err := s.more()
		if errors.Is(err, io.EOF) && len(p) == 1 {
			err = s.half()
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// half is the end of what a client sends while net/http, which reads one byte then, looks
// whether it is there: for a while it is taken to wait for its answer.
func (s *strict) half() error {
	timer := time.NewTimer(s.waits)
	defer timer.Stop()
	for !s.over.Load() {
		select {
		case <-timer.C:
			return io.EOF
		case <-s.changed:
		}
	}
	return os.ErrDeadlineExceeded // net/http does not look any more
}

// SetReadDeadline implements net.Conn.
func (s *strict) SetReadDeadline(t time.Time) error {
	defer s.change(t)
	return s.Conn.SetReadDeadline(t)
}

// SetDeadline implements net.Conn.
func (s *strict) SetDeadline(t time.Time) error {
	defer s.change(t)
	return s.Conn.SetDeadline(t)
}

// Close implements net.Conn.
func (s *strict) Close() error {
	defer s.change(time.Unix(1, 0))
	return s.Conn.Close()
}

func (s *strict) change(deadline time.Time) {
	s.over.Store(!deadline.IsZero() && deadline.Before(time.Now()))
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// CloseWrite says to the client that nothing more comes.
func (s *strict) CloseWrite() error {
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// tunnel says that what comes is no HTTP any more.
func (s *strict) tunnel() {
	s.part, s.in, s.early = partTunnel, s.in[s.early:], 0
}

// more reads more. What was given out is not needed any more.
func (s *strict) more() error {
	if cap(s.in)-len(s.in) < strictBytes/4 {
		s.in = append(make([]byte, 0, max(strictBytes, 2*len(s.in))), s.in...)
	}
	n, err := s.Conn.Read(s.in[len(s.in):cap(s.in)])
	s.in = s.in[:len(s.in)+n]
	if n > 0 {
		return nil
	}
	return err
}

// let lets n of the bytes that were read be given out.
func (s *strict) let(n int) {
	s.out, s.in = s.in[:n:n], s.in[n:]
	s.gone(n)
}

// of is how many of n bytes belong to what is under way.
func (s *strict) of(n int) int {
	if s.part == partLength {
		return int(min(int64(n), s.left))
	}
	return n
}

// gone notes that n bytes of a body were let out.
func (s *strict) gone(n int) {
	if s.part != partLength {
		return
	}
	if s.left -= int64(n); s.left == 0 {
		s.part = partHead
	}
}

// refuse gives out what net/http refuses.
func (s *strict) refuse(in string) { s.out, s.in, s.part, s.early = []byte(in), nil, partNone, 0 }

// head lets a head out when it is whole; false: more has to be read.
func (s *strict) head() bool {
	n, err := s.req.Parse(s.in, s.limits)
	var refused *http1.Error
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusRequestHeaderFieldsTooLarge, refused != nil && refused.Status == http.StatusRequestURITooLong:
		s.tunnel() // net/http's limit is lower
		return true
	case err != nil:
		s.refuse(noHead)
		return true
	case n == 0:
		return false
	}
	s.let(n)
	s.out, s.early, s.offered = s.out[s.early:], 0, s.req.Upgrade != nil
	switch {
	case s.req.Chunked:
		s.part = partChunks
		s.chunks.Reset()
	case s.req.Length > 0:
		s.part, s.left = partLength, s.req.Length
	}
	return true
}

// chunk lets out what there is of a body in chunks; false: more has to be read.
func (s *strict) chunk() bool {
	at := 0
	for at < len(s.in) && !s.chunks.Done() {
		_, used, err := s.chunks.Feed(s.in[at:], s.limits)
		if err != nil {
			s.refuse(string(s.in[:at]) + noChunk)
			return true
		}
		at += used
	}
	if s.chunks.Done() {
		s.part = partHead
	}
	s.let(at)
	return at > 0
}

// strictListener accepts strict connections.
type strictListener struct {
	net.Listener
	*front
}

// Accept implements net.Listener.
func (l strictListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newStrict(l.introduced(c), nil, l.g.cfg), nil
}
