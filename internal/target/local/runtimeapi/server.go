package runtimeapi

import (
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"titrate/internal/begun"
)

// Server serves the Runtime API of one environment. What every invocation needs, it reads
// and writes itself; the rest is net/http's.
type Server struct {
	env  *Environment
	http *http.Server

	mu     sync.Mutex
	open   map[net.Conn]struct{}
	on     net.Listener
	rest   *begun.Listener
	closed bool
}

// NewServer makes a server. A head may take so long to come.
func NewServer(e *Environment, headLimit time.Duration) *Server {
	return &Server{env: e, open: map[net.Conn]struct{}{}, http: &http.Server{
		Handler: e, ReadHeaderTimeout: headLimit, ErrorLog: log.New(io.Discard, "", 0),
	}}
}

// Serve answers the connections of a listener, until it or the server is closed, or no
// connection can be accepted.
func (s *Server) Serve(on net.Listener) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return on.Close()
	}
	s.on, s.rest = on, begun.NewListener(on.Addr())
	s.mu.Unlock()
	var all sync.WaitGroup
	defer all.Wait()
	defer s.rest.Close()                        //nolint:errcheck // it never fails
	all.Go(func() { _ = s.http.Serve(s.rest) }) // until it is closed
	for {
		c, err := on.Accept()
		if err != nil {
			return err
		}
		if !s.add(c) {
			return nil
		}
		all.Go(func() {
			read, more := s.env.serve(c)
			s.remove(c)
			if more {
				s.rest.Give(c, read)
			} else {
				c.Close()
			}
		})
	}
}

// Close ends the server with all of its connections.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.open {
		c.Close()
	}
	on := s.on
	s.mu.Unlock()
	s.env.letGo()
	if on != nil {
		on.Close()
	}
	s.http.Close()
}

func (s *Server) add(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return false
	}
	s.open[c] = struct{}{}
	return true
}

func (s *Server) remove(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}
