package gateway

import (
	"errors"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// link is a connection of a loop to an instance. It has one request at a time.
type link struct {
	sock
	of         *instance
	x          *passage  // whose request it has; nil: none
	connecting bool      //
	used       bool      // a request was answered on it before
	late       time.Time // when a connection that does not come about, or is not used, is given up
}

// mostIdle is how many connections to one instance a loop keeps that nobody uses.
const mostIdle = 512

// link returns a connection to an instance: one that waits, or a new one.
func (l *loop) link(to *instance, fresh bool) (*link, error) {
	for kept := l.idle[to]; len(kept) > 0 && !fresh; kept = l.idle[to] {
		k := kept[len(kept)-1]
		l.idle[to] = kept[:len(kept)-1]
		if !k.closed {
			return k, nil
		}
	}
	at, err := netip.ParseAddrPort(to.Addr)
	if err != nil {
		return nil, err
	}
	family, addr := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()})
	if at.Addr().Unmap().Is4() {
		family, addr = unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().Unmap().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	err = unix.Connect(fd, addr)
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		unix.Close(fd) //nolint:errcheck // nothing was sent
		return nil, err
	}
	k := &link{of: to, connecting: err != nil, late: l.now.Add(l.g.cfg.ConnectTimeout)}
	k.writable = err == nil
	if err := l.adopt(&k.sock, fd, k); err != nil {
		unix.Close(fd) //nolint:errcheck // nothing was sent
		return nil, err
	}
	return k, nil
}

// ready goes on with the request that the link has.
func (k *link) ready() {
	if k.closed {
		return
	}
	if k.connecting && (k.writable || k.broken) {
		if code, err := unix.GetsockoptInt(k.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
			k.unconnected()
			return
		}
		k.connecting = false
	}
	if k.x == nil {
		if n, more := k.read(); n > 0 || !more { // the instance has closed it, or says what nobody has asked
			k.close()
		} else {
			k.rest()
		}
		return
	}
	if !k.flush() && !k.readable { // it may have answered before it closed
		k.x.broken()
		return
	}
	if k.readable {
		k.x.relay()
	}
}

// tick gives up what does not come about, or is not used.
func (k *link) tick() {
	switch {
	case !k.connecting && k.x != nil || k.loop.now.Before(k.late):
	case k.connecting:
		k.unconnected()
	default:
		k.close()
	}
}

// fault gives the link up.
func (k *link) fault() {
	if k.x != nil {
		k.x.c.lost()
	}
	k.close()
}

// unconnected is a connection that did not come about: the instance has seen nothing.
func (k *link) unconnected() {
	x := k.x
	k.x = nil
	k.close()
	if x != nil {
		x.unconnected()
	}
}

// free lets the link wait for another request, unless it cannot have one.
func (k *link) free(reuse bool) {
	k.x = nil
	switch {
	case k.closed:
	case !reuse || len(k.unread()) > 0 || k.readable || len(k.out) > 0 || k.ended || k.broken || k.of.gone.Load() || len(k.loop.idle[k.of]) >= mostIdle:
		k.close()
	default:
		k.rest()
		k.used = true
		k.late = k.loop.now.Add(idleUpstream)
		k.loop.idle[k.of] = append(k.loop.idle[k.of], k)
	}
}

// tidy forgets links that are closed. It is called from time to time.
func (l *loop) tidy() {
	for to, kept := range l.idle {
		open := kept[:0]
		for _, k := range kept {
			if !k.closed {
				open = append(open, k)
			}
		}
		clear(kept[len(open):])
		if l.idle[to] = open; len(open) == 0 {
			delete(l.idle, to)
		}
	}
}
