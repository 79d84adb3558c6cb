package local

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"titrate/internal/procfs"
)

// sockets lists the TCP sockets of this machine that listen, by inode.
func sockets() map[string]netip.AddrPort {
	out := map[string]netip.AddrPort{}
	for family, name := range map[byte]string{unix.AF_INET: "/proc/net/tcp", unix.AF_INET6: "/proc/net/tcp6"} {
		found, err := diagListening(family)
		if err != nil {
			found = procfs.Listening(name) // a kernel without sock_diag
		}
		maps.Copy(out, found)
	}
	return out
}

// listens returns where the processes of a family accept connections. known is
// false when the machine does not let us look.
func (f family) listens() (addrs []netip.AddrPort, known bool) {
	all := sockets()
	for _, pid := range f.session() {
		mine, ok := listening(pid, all)
		known = known || ok
		for _, a := range mine {
			if !slices.Contains(addrs, a) {
				addrs = append(addrs, a)
			}
		}
	}
	return addrs, known
}

// owns reports whether a process of the family accepts connections at a port.
// Where the machine does not let us look, it is believed.
func (f family) owns(port int) bool {
	all := sockets()
	at := func(a netip.AddrPort) bool { return int(a.Port()) == port }
	// Nearly always it is the first process, and the others need not be looked for.
	if mine, ok := listening(f.pid, all); !ok || slices.ContainsFunc(mine, at) {
		return true
	}
	addrs, known := f.listens()
	return !known || slices.ContainsFunc(addrs, at)
}

// listening lists which of all sockets one process has open. ok is false when
// that cannot be seen.
func listening(pid int, all map[string]netip.AddrPort) (addrs []netip.AddrPort, ok bool) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, false
	}
	for _, e := range entries {
		link, err := os.Readlink(dir + "/" + e.Name())
		if err != nil {
			continue
		}
		inode, _ := strings.CutPrefix(link, "socket:[")
		if addr, listens := all[strings.TrimSuffix(inode, "]")]; listens {
			addrs = append(addrs, addr)
		}
	}
	return addrs, true
}

// reach returns the address at which this machine reaches a socket bound to addr.
func reach(addr netip.AddrPort) string {
	switch {
	case !addr.Addr().IsUnspecified():
		return addr.String()
	default: // all addresses; an IPv6 socket takes IPv4 too, unless it says otherwise
		return fmt.Sprintf("127.0.0.1:%d", addr.Port())
	}
}
