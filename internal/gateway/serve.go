package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Listeners are what a gateway serves on. All but Public may be nil.
type Listeners struct {
	Public   net.Listener // plain HTTP that stays so: on the loopback, or behind what ends TLS itself
	Plain    net.Listener // plain HTTP beside Secure: hosts with a certificate are led there
	Secure   net.Listener // TLS; needs Config.Certificates
	Internal net.Listener // calls between workloads
}

// Serve answers the connections of all listeners until ctx ends or one of them
// fails. It also closes windows and drains versions, so
// these happen only while it runs. It is called once, after a table and ready
// instances have been given: until then every request gets 503.
//
// At the end it stops accepting and closes its own descriptors of the listeners:
// where another process holds the same sockets, new connections wait in their
// backlog and none is refused. Each open connection is told to close with its
// next response; idle ones are closed after IdleGrace; what is in flight has
// Drain to finish. The windows of all of it are closed before Serve returns.
func (g *Gateway) Serve(ctx context.Context, on Listeners) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	var clocks sync.WaitGroup
	clocks.Go(func() { g.closeLoop(work) })
	clocks.Go(func() { g.drainLoop(work) })
	clocks.Go(func() { g.cutLoop(work) })
	clocks.Go(func() { g.access.run(work) })
	fast := newLoops(g)
	defer fast.end()

	sides := []*side{g.newSide(on.Public, &front{g: g})}
	if on.Plain != nil {
		sides = append(sides, g.newSide(on.Plain, &front{g: g, plain: on.Secure != nil}))
	}
	if on.Secure != nil {
		_, g.securePort, _ = net.SplitHostPort(on.Secure.Addr().String())
		s := g.newSide(on.Secure, &front{g: g})
		s.server.TLSConfig = tlsConfig(g.cfg.Certificates)
		s.server.Protocols.SetHTTP2(true)
		sides = append(sides, s)
	}
	if on.Internal != nil {
		sides = append(sides, g.newSide(localOnly{on.Internal}, &front{g: g, internal: true}))
	}
	failed := make(chan error, len(sides))
	var accepting sync.WaitGroup
	open, shut := context.WithCancel(ctx)
	defer shut()
	for _, s := range sides {
		accepting.Go(func() { failed <- s.serve(open, fast) })
	}
	close(g.serving)

	var err error
	select {
	case <-ctx.Done():
	case <-g.relieved:
	case err = <-failed:
		if err = fmt.Errorf("gateway: accept: %w", err); ctx.Err() != nil {
			err = nil
		}
	}
	g.stopping.Store(true)
	shut()
	for _, s := range sides {
		s.listener.Close()
	}
	accepting.Wait()
	close(g.closed)
	over, end := context.WithCancel(work)
	clocks.Go(func() { g.bound(ctx, over, end) })
	g.finish(over, sides, fast)
	end()
	stop()
	clocks.Wait()
	g.closeWindows(g.cfg.Clock())
	return err
}

// side is one listener with its server.
type side struct {
	listener net.Listener
	door     *door
	behind   net.Listener // the listener as it was given
	server   *http.Server
	mu       sync.Mutex
	open     map[net.Conn]struct{}
}

// serve answers until the listener is closed: plain connections by the loops, where there
// are any, and by net/http what they leave to it.
func (s *side) serve(ctx context.Context, fast *loops) error {
	secure := s.server.TLSConfig != nil
	if secure || fast.can(s.behind) {
		go func() { _ = s.server.Serve(s.door.moved) }() // until the end
	}
	switch {
	case secure:
		return s.serveSecure(ctx)
	case fast.can(s.behind):
		return fast.accept(ctx, s.behind, s.door)
	}
	return s.server.Serve(strictListener{s.listener, s.door.front})
}

func (g *Gateway) newSide(l net.Listener, f *front) *side {
	f.proxy = newProxy(g)
	if g.cfg.Control.Host != "" {
		f.control = newControl(g.cfg.Control, g.log)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	s := &side{listener: &onceListener{Listener: l}, behind: l, open: map[net.Conn]struct{}{}, door: &door{front: f, moved: newMoved(l.Addr(), &g.movedTotal, g.cfg)}}
	if in, ok := l.(localOnly); ok { // which the loops look at themselves
		s.behind = in.Listener
	}
	s.server = &http.Server{
		Handler:           f,
		ReadHeaderTimeout: g.cfg.HeaderTimeout,
		IdleTimeout:       g.cfg.IdleTimeout,
		MaxHeaderBytes:    g.cfg.MaxHeader,
		Protocols:         protocols,
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
		ConnState:         s.note,
		ConnContext:       withSecure,
	}
	return s
}

// note keeps count of the connections that the server has to answer for.
func (s *side) note(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.open[c] = struct{}{}
	case http.StateHijacked, http.StateClosed:
		delete(s.open, c)
	case http.StateActive, http.StateIdle:
	}
}

func (s *side) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open) + int(s.door.open.Load()+s.door.moved.given.Load())
}

// finish lets what is open end, and ends what does not before over does.
func (g *Gateway) finish(over context.Context, sides []*side, fast *loops) {
	// Whoever is about to send on a kept connection must not meet a closed one:
	// it gets an answer that says close, and only then idle ones are closed.
	grace, cancelGrace := context.WithTimeout(over, g.cfg.IdleGrace)
	wait(grace, func() bool { return open(sides) == 0 })
	cancelGrace()
	fast.hurry()

	var closing sync.WaitGroup
	for _, s := range sides {
		closing.Go(func() { s.end(over) })
	}
	closing.Wait()
	// Tunnels are not the servers' any more; the drain closes them. Handlers of
	// connections that were closed need a moment to count what they had.
	wait(over, func() bool { return open(sides) == 0 && g.inFlight.Load() == 0 })
	last, cancelLast := context.WithTimeout(context.WithoutCancel(over), g.cfg.Drain+time.Second)
	defer cancelLast()
	wait(last, func() bool { return g.inFlight.Load() == 0 })
}

// end closes what is idle and lets the rest finish, until over.
func (s *side) end(over context.Context) {
	s.server.SetKeepAlivesEnabled(false)
	// Loops still move requests that had begun, and hands are still shaken: the server must
	// take what comes of it.
	wait(over, func() bool { return s.door.open.Load()+s.door.moved.given.Load() == 0 })
	s.door.moved.shut.Store(true)
	if err := s.server.Shutdown(over); err != nil && over.Err() != nil {
		_ = s.server.Close() // of connections that are cut; their handlers count them
	}
}

func open(sides []*side) (n int) {
	for _, s := range sides {
		n += s.connections()
	}
	return n
}

// wait returns when done says so or ctx ends. What takes long is looked at seldom.
func wait(ctx context.Context, done func() bool) {
	const first, last = 5 * time.Millisecond, 100 * time.Millisecond
	tick := time.NewTimer(first)
	defer tick.Stop()
	for every := first; !done(); every = min(every+every/10, last) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			tick.Reset(every)
		}
	}
}

// onceListener can be closed twice: by Serve, and by the server at its end.
type onceListener struct {
	net.Listener
	once sync.Once
	err  error
}

func (l *onceListener) Close() error {
	l.once.Do(func() { l.err = l.Listener.Close() })
	return l.err
}
