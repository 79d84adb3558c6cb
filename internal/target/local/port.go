package local

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
)

// ports gives out loopback ports for instances. A port is free when it is given,
// and another program may still take it before the instance does: the caller
// notices and asks for another.
type ports struct{ low, high int }

// newPorts keeps out of the range from which the kernel takes the ports of
// outgoing connections: the gateway makes many, and one could take an instance's
// port while it restarts.
func newPorts() ports {
	p := ports{low: 20000, high: 32768}
	var low, high int
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return p
	}
	if _, err := fmt.Sscan(string(b), &low, &high); err != nil {
		return p
	}
	switch {
	case low >= 15000:
		p.low, p.high = max(10000, low-13000), low
	case high <= 60000:
		p.low, p.high = high+1, 65536
	}
	return p
}

// free returns a port at which nobody listens and that taken does not name.
func (p ports) free(ctx context.Context, taken map[int]bool) (int, error) {
	for range 200 {
		port := p.low + rand.IntN(p.high-p.low)
		if !taken[port] && canListen(ctx, port) {
			return port, nil
		}
	}
	return 0, errors.New("no free port found on 127.0.0.1")
}

// canListen looks on all addresses: an instance may bind any of them.
func canListen(ctx context.Context, port int) bool {
	for _, host := range []string{"127.0.0.1", ""} {
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return false
		}
		ln.Close()
	}
	return true
}
