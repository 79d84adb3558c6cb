package local

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/procfs"
)

func TestSockets_bothWaysSeeTheSame(t *testing.T) {
	t.Parallel()
	for host, table := range map[string]struct {
		family byte
		name   string
	}{"127.0.0.1": {unix.AF_INET, "/proc/net/tcp"}, "::1": {unix.AF_INET6, "/proc/net/tcp6"}} {
		ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Logf("no %s here: %v", host, err)
			continue
		}
		defer ln.Close()
		if _, err := diagListening(table.family); err != nil {
			t.Skipf("no sock_diag here: %v", err)
		}
		inode := func(all map[string]netip.AddrPort) string {
			for i, a := range all {
				if a.String() == ln.Addr().String() {
					return i
				}
			}
			return "none"
		}
		// Neither is one look: what comes and goes meanwhile can hide a line.
		for end := time.Now().Add(30 * time.Second); ; {
			asked, err := diagListening(table.family)
			if err != nil {
				t.Fatal(err)
			}
			a, b := inode(asked), inode(procfs.Listening(table.name))
			if a == b && a != "none" {
				break
			}
			if time.Now().After(end) {
				t.Errorf("%s: inode %s by netlink, %s in /proc", ln.Addr(), a, b)
				break
			}
		}
	}
}

func TestPorts_nobodyGetsTheSameOne(t *testing.T) {
	t.Parallel()
	s := &Supervisor{taken: map[int]bool{}, ports: ports{low: 39000, high: 39020}} // few, so that they would meet
	var mu sync.Mutex
	var wg sync.WaitGroup
	got := map[int]bool{}
	for range 12 {
		wg.Go(func() {
			port, err := s.exchangePort(t.Context(), 0)
			if err != nil {
				return // they may run out by chance
			}
			mu.Lock()
			defer mu.Unlock()
			if got[port] {
				t.Errorf("port %d was given twice", port)
			}
			got[port] = true
		})
	}
	wg.Wait()
}
