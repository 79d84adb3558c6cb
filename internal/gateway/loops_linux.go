package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/http1"
)

// loops are the threads that serve plain HTTP/1.1: one for each processor.
type loops struct{ all []*loop }

// Loops is how many threads a gateway that serves holds, beside those that run Go: whoever
// serves with one adds them to GOMAXPROCS.
func Loops() int { return runtime.NumCPU() }

// newLoops starts them; nil: this machine has none.
func newLoops(g *Gateway) *loops {
	ls := &loops{}
	for i := range Loops() {
		l, err := newLoop(g, i)
		if err != nil {
			ls.end()
			return nil
		}
		// What fits into the buffer is read, and what does not is moved.
		l.requests = http1.Limits{Head: bufferBytes, Line: bufferBytes, Fields: bufferBytes}
		l.answers = http1.Limits{Head: headBytes, Line: bufferBytes, Fields: headBytes}
		ls.all = append(ls.all, l)
		go l.run()
	}
	return ls
}

// end closes what is still open, and returns when all have ended.
func (ls *loops) end() {
	if ls == nil {
		return
	}
	for _, l := range ls.all {
		l.post(func() {
			for _, s := range l.socks {
				if s == nil {
					continue
				}
				if c, ok := s.holder.(*client); ok {
					c.lost()
				} else {
					s.close()
				}
			}
			l.stop = true
		})
		<-l.ended
	}
}

// hurry closes connections on which nothing is under way.
func (ls *loops) hurry() {
	if ls == nil {
		return
	}
	for _, l := range ls.all {
		l.post(func() {
			l.hurried = true
			l.sweep()
		})
	}
}

// can reports whether the loops can serve a listener.
func (ls *loops) can(on net.Listener) bool {
	_, tcp := on.(*net.TCPListener)
	return ls != nil && tcp
}

// accept gives the connections of a listener to the loops, until ctx ends.
func (ls *loops) accept(ctx context.Context, on net.Listener, d *door) error {
	tcp, ok := on.(*net.TCPListener)
	if !ok {
		return errors.New("no listener of TCP")
	}
	own, err := tcp.File()
	if err != nil {
		return fmt.Errorf("take the listener: %w", err)
	}
	// Read by the runtime's poller, which a listener's own connection does not offer.
	fd, err := unix.FcntlInt(own.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	own.Close()
	if err != nil {
		return fmt.Errorf("take the listener: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd) //nolint:errcheck // nothing was written
		return fmt.Errorf("take the listener: %w", err)
	}
	f := os.NewFile(uintptr(fd), "listener")
	stop := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })
	defer f.Close()
	defer stop()
	conn, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("take the listener: %w", err)
	}
	for ctx.Err() == nil {
		fd, from, err := acceptOne(conn)
		switch {
		case err == nil:
			at := addrPortOf(from)
			if d.introduces(at.Addr()) {
				d.moved.given.Add(1)
				go ls.introduce(fd, at, d)
			} else {
				ls.take(fd, at, d)
			}
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, os.ErrClosed):
			return nil
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM):
			select { // what is open goes on, and who comes waits
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		case errors.Is(err, unix.ECONNABORTED), errors.Is(err, unix.EINTR), errors.Is(err, unix.EPROTO):
		default:
			return err
		}
	}
	return nil
}

func acceptOne(conn syscall.RawConn) (fd int, from unix.Sockaddr, err error) {
	rerr := conn.Read(func(listener uintptr) bool {
		fd, from, err = unix.Accept4(int(listener), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		return !errors.Is(err, unix.EAGAIN)
	})
	if rerr != nil {
		return 0, nil, rerr
	}
	return fd, from, err
}

// introduce takes a connection when its proxy has said whose it is.
func (ls *loops) introduce(fd int, proxy netip.AddrPort, d *door) {
	defer d.moved.given.Add(-1)
	f := os.NewFile(uintptr(fd), "introduced")
	c, err := net.FileConn(f)
	f.Close()
	if err != nil {
		return
	}
	defer c.Close()
	from, err := readIntroduction(c, time.Now().Add(d.g.cfg.HeaderTimeout))
	if err != nil {
		d.g.log.Debug("a connection of a trusted proxy was refused", slog.String("proxy", proxy.String()), slog.Any("error", err))
		return
	}
	if !from.IsValid() {
		from = proxy
	}
	own, err := c.(syscall.Conn).SyscallConn() //nolint:forcetypeassert // of the net package
	if err != nil {
		return
	}
	err = own.Control(func(of uintptr) {
		if fd, err := unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			ls.take(fd, from, d)
		}
	})
	if err != nil {
		return
	}
}

// take gives a connection to the loop that has the fewest.
func (ls *loops) take(fd int, from netip.AddrPort, d *door) {
	c := &client{door: d, remote: from, fresh: true}
	if d.internal {
		local, err := unix.Getsockname(fd)
		if err != nil || !c.remote.Addr().Unmap().IsLoopback() || !addrPortOf(local).Addr().Unmap().IsLoopback() {
			unix.Close(fd) //nolint:errcheck // see localOnly
			return
		}
		c.local = addrPortOf(local).Addr().Unmap()
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15)
	if c.local == ownAddress {
		d.moved.take(fd, nil)
		return
	}
	least := ls.all[0]
	for _, l := range ls.all[1:] {
		if l.conns.Load() < least.conns.Load() {
			least = l
		}
	}
	d.open.Add(1)
	least.conns.Add(1)
	least.post(func() { least.serve(c, fd) })
}

// serve begins to serve a connection.
func (l *loop) serve(c *client, fd int) {
	c.writable = true
	c.late = l.now.Add(l.g.cfg.HeaderTimeout)
	if err := l.adopt(&c.sock, fd, c); err != nil || l.stop {
		unix.Close(fd) //nolint:errcheck // nothing was written
		c.door.open.Add(-1)
		l.conns.Add(-1)
	}
}

func addrPortOf(a unix.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	return netip.AddrPort{}
}

// move gives the connection to the front on net/http, with what was read of it.
func (c *client) move() {
	d, l := c.door, c.loop
	if d.moved.shut.Load() { // nobody accepts it any more
		c.length = c.to - c.from
		c.answer(ownAnswer{id: newRequestID(), refusal: refusal{status: http.StatusServiceUnavailable, reason: "the gateway is ending: send it again"}, end: true})
		return
	}
	prefix := append([]byte(nil), c.unread()...)
	if c.req != nil {
		l.giveRequest(c.req)
		c.req = nil
	}
	fd := c.forget()
	_ = unix.EpollCtl(l.ep, unix.EPOLL_CTL_DEL, fd, nil)
	d.moved.take(fd, prefix)
	d.open.Add(-1)
	l.conns.Add(-1)
}
