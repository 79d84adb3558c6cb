package container

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/engine"
)

// outside is the network of a container that this process may not enter: without
// root, or of an engine without it. The program is reached at its address or at the
// port that the engine publishes; it reaches nothing of this machine.
type outside struct {
	st   engine.Status
	once sync.Once
}

// patience is how long the address of a container may be silent before it is taken for
// one that cannot be reached from here, as in a rootless engine.
const patience = 200 * time.Millisecond

// Dial implements [shim.Network].
func (o *outside) Dial(ctx context.Context, port int) (net.Conn, error) {
	if o.st.IP.IsValid() {
		conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", netip.AddrPortFrom(o.st.IP, uint16(port)).String())
		if err == nil || errors.Is(err, unix.ECONNREFUSED) {
			return conn, err
		}
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(o.st.Published)))
	if err != nil {
		return nil, err
	}
	// The engine accepts whether the program does or not, and hangs up then.
	if gone(conn) {
		conn.Close()
		return nil, fmt.Errorf("dial the container: %w", unix.ECONNREFUSED)
	}
	return conn, nil
}

// gone reports whether the other side hangs up at once, without having said anything.
func gone(conn net.Conn) bool {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return true
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience / 10))
	defer conn.SetReadDeadline(time.Time{}) //nolint:errcheck // a connection that is closed is noticed
	hung := false
	_ = raw.Read(func(fd uintptr) bool {
		n, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		hung = err == nil && n == 0 || errors.Is(err, unix.ECONNRESET)
		return err == nil || hung // else it says nothing yet, until the deadline
	})
	return hung
}

// Listen implements [shim.Network]: nobody comes.
func (o *outside) Listen(at netip.AddrPort) (net.Listener, error) {
	o.once.Do(func() {
		fmt.Fprintf(os.Stderr, "titrate: %s and whatever else is on this machine cannot be reached from the container: Titrate does not run as root, or the engine does not\n", at)
	})
	return ended{}, nil
}

// Listening implements [shim.Network].
func (o *outside) Listening() []netip.AddrPort { return nil }
