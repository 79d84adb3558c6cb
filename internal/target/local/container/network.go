package container

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/engine"
	"titrate/internal/procfs"
)

// inside is the network of a container, entered by this process.
type inside struct {
	pid   int
	addr  netip.Addr // of the container, beside the loopback
	tasks chan func()
}

// openNetwork enters the network of a container that runs. A thread of this process
// stays there, to make sockets: a socket belongs to the network where it was made,
// whoever uses it.
func openNetwork(st engine.Status) (*inside, error) {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", st.PID))
	if err != nil {
		return nil, fmt.Errorf("enter the network of the container: %w", err)
	}
	defer ns.Close()
	n := &inside{pid: st.PID, addr: st.IP, tasks: make(chan func())}
	entered := make(chan error)
	go func() {
		runtime.LockOSThread() // and never let go: the thread ends with this goroutine
		err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		entered <- err
		if err != nil {
			return
		}
		for task := range n.tasks {
			task()
		}
	}()
	if err := <-entered; err != nil {
		return nil, fmt.Errorf("enter the network of the container: %w", err)
	}
	return n, nil
}

// Dial implements [shim.Network].
func (n *inside) Dial(ctx context.Context, port int) (net.Conn, error) {
	var errs []error
	for _, ip := range []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback(), n.addr} {
		if !ip.IsValid() {
			continue
		}
		conn, err := n.connect(ctx, netip.AddrPortFrom(ip, uint16(port)))
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// connect has the thread inside make a socket, and no more: a program that is slow to
// accept would hold up the others.
func (n *inside) connect(ctx context.Context, at netip.AddrPort) (net.Conn, error) {
	family, sa := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()})
	if at.Addr().Is4() {
		family, sa = unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	var fd int
	var err error
	n.do(func() { fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0) })
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	err = unix.Connect(fd, sa)
	f := os.NewFile(uintptr(fd), at.String()) // after connect: the poller reports one that is not connected as broken
	defer f.Close()
	if errors.Is(err, unix.EINPROGRESS) {
		err = connected(ctx, f)
	}
	if err != nil {
		return nil, fmt.Errorf("dial %s in the container: %w", at, err)
	}
	return net.FileConn(f)
}

// connected waits until a connection is made.
func connected(ctx context.Context, f *os.File) error {
	stop := context.AfterFunc(ctx, func() { _ = f.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = raw.Write(func(fd uintptr) bool {
		ready, perr := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 0)
		if ready == 0 && perr == nil || errors.Is(perr, unix.EINTR) {
			return false
		}
		code, serr := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if result = errors.Join(perr, serr); code != 0 {
			result = unix.Errno(code)
		}
		return true
	})
	return errors.Join(ctx.Err(), err, result)
}

// do has the thread inside do something that does not wait.
func (n *inside) do(task func()) {
	done := make(chan struct{})
	n.tasks <- func() {
		defer close(done)
		task()
	}
	<-done
}

// Listen implements [shim.Network].
func (n *inside) Listen(at netip.AddrPort) (ln net.Listener, err error) {
	n.do(func() { ln, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", at.String()) })
	return ln, err
}

// resolver is where Docker itself listens in a container, for names.
var resolver = netip.AddrFrom4([4]byte{127, 0, 0, 11})

// Listening implements [shim.Network].
func (n *inside) Listening() []netip.AddrPort {
	var out []netip.AddrPort
	for _, family := range []string{"tcp", "tcp6"} {
		for _, at := range procfs.Listening("/proc/" + strconv.Itoa(n.pid) + "/net/" + family) {
			if at.Addr() != resolver {
				out = append(out, at)
			}
		}
	}
	return out
}

// ended is the network of a container that has ended: nobody is there.
type ended struct{}

// Dial implements [shim.Network].
func (ended) Dial(context.Context, int) (net.Conn, error) { return nil, unix.ECONNREFUSED }

// Listen implements [shim.Network].
func (ended) Listen(netip.AddrPort) (net.Listener, error) { return ended{}, nil }

// Listening implements [shim.Network].
func (ended) Listening() []netip.AddrPort { return nil }

// Accept implements [net.Listener].
func (ended) Accept() (net.Conn, error) { return nil, net.ErrClosed }

// Close implements [net.Listener].
func (ended) Close() error { return nil }

// Addr implements [net.Listener].
func (ended) Addr() net.Addr { return &net.TCPAddr{} }
