// Package begun hands connections of which something was read to a server that reads them
// from their beginning, as net/http's does.
package begun

import (
	"net"
	"sync"
)

// Listener accepts the connections that it is given.
type Listener struct {
	at    net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// NewListener makes a listener that says that it listens at an address.
func NewListener(at net.Addr) *Listener {
	return &Listener{at: at, conns: make(chan net.Conn), done: make(chan struct{})}
}

// Give has a connection accepted; read was read of it. It returns when somebody has
// accepted it, or closes it when the listener is closed.
func (l *Listener) Give(c net.Conn, read []byte) {
	if tcp, ok := c.(*net.TCPConn); ok && len(read) > 0 {
		c = &conn{TCPConn: tcp, read: read}
	}
	select {
	case l.conns <- c:
	case <-l.done:
		c.Close()
	}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It may be called more than once.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.at }

// conn is a connection of which something was read, which it gives out first.
type conn struct {
	*net.TCPConn
	read []byte
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.read) > 0 {
		n := copy(p, c.read)
		c.read = c.read[n:]
		return n, nil
	}
	return c.TCPConn.Read(p)
}
