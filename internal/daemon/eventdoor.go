package daemon

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// eventDoor is where processes send events to. A node that hands over lets go of the
// events before its gateway has ended: what still comes over a connection that it has is
// led to the next node, which has them and the listener by then.
type eventDoor struct {
	own  http.Handler
	next http.Handler
	gone func() <-chan struct{} // closed when this node accepts no more: before, next might be itself

	mu    sync.Mutex
	left  bool
	under sync.WaitGroup // requests that own answers
}

// newEventDoor is one whose listener is at a port of this machine.
func newEventDoor(own http.Handler, addr func() string, gone func() <-chan struct{}) *eventDoor {
	var d net.Dialer
	return &eventDoor{own: own, gone: gone, next: &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: addr()})
			p.Out.Host = p.In.Host // it is signed
		},
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return d.DialContext(ctx, network, addr())
			},
			// Each comes to whoever accepts now.
			DisableKeepAlives: true, DisableCompression: true,
		},
	}}
}

func (d *eventDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	left := d.left
	if !left {
		d.under.Add(1)
	}
	d.mu.Unlock()
	if left {
		select {
		case <-d.gone():
		case <-r.Context().Done():
			return
		}
		d.next.ServeHTTP(w, r)
		return
	}
	defer d.under.Done()
	d.own.ServeHTTP(w, r)
}

// leave leads to the next node what comes from now on, and returns when what came before
// has been answered, or after a while: who waits for messages may wait long.
func (d *eventDoor) leave() {
	d.mu.Lock()
	d.left = true
	d.mu.Unlock()
	answered := make(chan struct{})
	go func() { d.under.Wait(); close(answered) }()
	over := time.NewTimer(leaveFor)
	defer over.Stop()
	select {
	case <-answered:
	case <-over.C:
	}
}

// leaveFor is how long a node that hands over waits for those who send events.
const leaveFor = 200 * time.Millisecond
