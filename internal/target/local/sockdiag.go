package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// diagListening asks the kernel for the TCP sockets that listen, by inode, over
// netlink: see sock_diag(7). Reading /proc/net/tcp costs some 10 ms where the
// kernel's table of connections is large, this a fraction of one.
func diagListening(family byte) (map[string]netip.AddrPort, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, fmt.Errorf("open sock_diag: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	patience := unix.NsecToTimeval(time.Second.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience); err != nil {
		return nil, fmt.Errorf("open sock_diag: %w", err)
	}
	if err := unix.Sendto(fd, diagRequest(family), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("ask sock_diag: %w", err)
	}
	out := map[string]netip.AddrPort{}
	buf := make([]byte, 64<<10)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err != nil {
			return nil, fmt.Errorf("read sock_diag: %w", err)
		}
		msgs, err := syscall.ParseNetlinkMessage(buf[:n])
		if err != nil {
			return nil, fmt.Errorf("read sock_diag: %w", err)
		}
		for _, m := range msgs {
			switch m.Header.Type {
			case unix.NLMSG_DONE:
				return out, nil
			case unix.NLMSG_ERROR:
				return nil, errors.New("sock_diag refuses")
			}
			if inode, addr, ok := parseDiag(m.Data); ok {
				out[inode] = addr
			}
		}
	}
}

// diagRequest is a dump request: a netlink header and struct inet_diag_req_v2.
func diagRequest(family byte) []byte {
	const sockDiagByFamily, listen, length = 20, 1 << 10, 16 + 56
	b := make([]byte, length)
	binary.NativeEndian.PutUint32(b, length)
	binary.NativeEndian.PutUint16(b[4:], sockDiagByFamily)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	b[16], b[17] = family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[20:], listen)
	return b
}

// parseDiag reads a struct inet_diag_msg.
func parseDiag(b []byte) (inode string, addr netip.AddrPort, ok bool) {
	if len(b) < 72 {
		return "", addr, false
	}
	raw := b[8:24]
	if b[0] == unix.AF_INET {
		raw = raw[:4]
	}
	ip, _ := netip.AddrFromSlice(raw)
	port := binary.BigEndian.Uint16(b[4:])
	return strconv.FormatUint(uint64(binary.NativeEndian.Uint32(b[68:])), 10), netip.AddrPortFrom(ip.Unmap(), port), true
}
