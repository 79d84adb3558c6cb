package gateway

import (
	"net"
	"os"
	"sync"
)

// moved is the listener of connections that a loop has begun to read, and of which the
// front on net/http does the rest.
type moved struct {
	at    net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	given counter  // that nobody has accepted yet
	total *counter // that ever were
}

func newMoved(at net.Addr, total *counter) *moved {
	return &moved{at: at, total: total, conns: make(chan net.Conn), done: make(chan struct{})}
}

// take makes a connection of a descriptor, and has it accepted: begun was read of it.
func (m *moved) take(fd int, begun []byte) {
	m.given.Add(1)
	m.total.Add(1)
	go func() { // whoever accepts may be busy
		defer m.given.Add(-1)
		f := os.NewFile(uintptr(fd), "moved")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			return
		}
		if tcp, ok := c.(*net.TCPConn); ok && len(begun) > 0 {
			c = &begunConn{TCPConn: tcp, begun: begun}
		}
		select {
		case m.conns <- c:
		case <-m.done:
			c.Close()
		}
	}()
}

// Accept implements net.Listener.
func (m *moved) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (m *moved) Close() error {
	m.once.Do(func() { close(m.done) })
	return nil
}

// Addr implements net.Listener.
func (m *moved) Addr() net.Addr { return m.at }

// begunConn is a connection of which something was read.
type begunConn struct {
	*net.TCPConn
	begun []byte
}

// Read gives that out first.
func (c *begunConn) Read(p []byte) (int, error) {
	if len(c.begun) > 0 {
		n := copy(p, c.begun)
		if c.begun = c.begun[n:]; len(c.begun) == 0 {
			c.begun = nil
		}
		return n, nil
	}
	return c.TCPConn.Read(p)
}
