package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// finishing is how long what is in flight has when a server ends.
const finishing = 5 * time.Second

// serveHTTP serves h on l until ctx ends, then lets what is in flight finish for
// a short while. Who has connected by then is answered: another process may hold
// the socket too, but not what was accepted from it here.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	var fresh fresh
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 75 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnState:   fresh.note,
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	// Not by Shutdown alone, which drops a request that it has not begun to read.
	srv.SetKeepAlivesEnabled(false)
	_ = l.Close() // Serve says if that was not the end of it
	if err := <-ended; !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	fresh.await()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishing)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		_ = srv.Close()
	}
	return nil
}

// fresh are the connections of which no request has been read yet.
type fresh struct {
	conns sync.Map
	n     atomic.Int64
}

func (f *fresh) note(c net.Conn, s http.ConnState) {
	if s == http.StateNew {
		f.conns.Store(c, nil)
		f.n.Add(1)
	} else if _, was := f.conns.LoadAndDelete(c); was {
		f.n.Add(-1)
	}
}

// await returns when all of them have sent a request, or have had a second to.
func (f *fresh) await() {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		none := f.n.Load() == 0
		<-tick.C // also after the last: it is noted a moment before the server takes it up
		if none {
			return
		}
	}
}
