package gateway

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// ListenInternal opens the listener for calls between workloads, on all of
// 127.0.0.0/8; port 0 takes a free one. Whoever keeps the sockets calls it. Where
// the system allows it the socket is tied to the loopback device, so that it is
// not to be seen from outside; [Gateway.Serve] refuses outsiders in any case.
func ListenInternal(ctx context.Context, port int) (net.Listener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = unix.BindToDevice(int(fd), "lo") // refused by old kernels: Serve's own check remains
		})
	}}
	at := netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(port))
	l, err := lc.Listen(ctx, "tcp4", at.String())
	if err != nil {
		return nil, fmt.Errorf("listen for calls between workloads: %w", err)
	}
	return l, nil
}
