package within

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/target/local/shim"
)

// Dial connects to a port of the loopback within. See [shim.Network].
func (l *Line) Dial(ctx context.Context, port int) (net.Conn, error) {
	conn, err := l.dial(ctx, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}, unix.AF_INET)
	if errors.Is(err, unix.ECONNREFUSED) {
		conn, err = l.dial(ctx, &unix.SockaddrInet6{Port: port, Addr: [16]byte{15: 1}}, unix.AF_INET6)
		if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) {
			err = unix.ECONNREFUSED
		}
	}
	return conn, err
}

// dial connects a socket that the inside has made: a socket stays in the network in
// which it was made, whoever holds it.
func (l *Line) dial(ctx context.Context, to unix.Sockaddr, family int) (net.Conn, error) {
	fd, err := l.socket(request{Socket: family})
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("connect: %w", err)
	}
	err = unix.Connect(fd, to)
	f := os.NewFile(uintptr(fd), "within")
	defer f.Close()
	if errors.Is(err, unix.EINPROGRESS) {
		err = connected(ctx, f)
	}
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return net.FileConn(f)
}

// connectTimeout is how long a program may leave a connection waiting in its backlog.
const connectTimeout = 10 * time.Second

// connected waits until a connection is there, or cannot be.
func connected(ctx context.Context, f *os.File) error {
	until := time.Now().Add(connectTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(until) {
		until = d
	}
	if err := f.SetWriteDeadline(until); err != nil {
		return err
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		switch {
		case err != nil:
			failed = err
		case n != 0:
			failed = unix.Errno(n)
		default:
			_, err := unix.Getpeername(int(fd))
			return err == nil
		}
		return true
	})
	return errors.Join(failed, err)
}

// socket asks for a socket of the network within, which is the caller's.
func (l *Line) socket(r request) (fd int, err error) {
	a, err := l.ask(r)
	if err != nil {
		return -1, err
	}
	if len(a.fds) != 1 {
		return -1, fmt.Errorf("make a socket within: %d came out", len(a.fds))
	}
	return a.fds[0], nil
}

// Listen listens at an address of the loopback within.
func (l *Line) Listen(at netip.AddrPort) (net.Listener, error) {
	fd, err := l.socket(request{Listen: at})
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "within")
	defer f.Close()
	return net.FileListener(f)
}

// Redirect leads connections within elsewhere. See [shim.Network].
func (l *Line) Redirect(_ context.Context, all []shim.Redirect) error {
	_, err := l.ask(request{Lead: all})
	return err
}

// Listening tells where programs within listen.
func (l *Line) Listening() []netip.AddrPort {
	a, _ := l.ask(request{List: true}) // of one that is gone, nowhere
	return a.Listen
}
