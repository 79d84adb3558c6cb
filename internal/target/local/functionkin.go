package local

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// kin is a listener that accepts only what a process of a family has connected: who can
// guess the port of another function must not get its events. Where the machine does not
// let us look, it is believed.
type kin struct {
	net.Listener
	of family
}

// Accept closes what a stranger has connected, and waits on.
func (k *kin) Accept() (net.Conn, error) {
	for {
		conn, err := k.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from, ok1 := conn.RemoteAddr().(*net.TCPAddr)
		to, ok2 := conn.LocalAddr().(*net.TCPAddr)
		if !ok1 || !ok2 || k.of.connected(from.AddrPort(), to.AddrPort()) {
			return conn, nil
		}
		conn.Close()
	}
}

// connected reports whether a process of the family has the socket that is connected
// from one loopback address to another.
func (f family) connected(from, to netip.AddrPort) bool {
	inode, err := diagSocket(from, to)
	if err != nil {
		return true
	}
	if inode == 0 { // nobody has it any more
		return false
	}
	link := "socket:[" + strconv.FormatUint(uint64(inode), 10) + "]"
	if has, err := hasFile(f.pid, link); has || err != nil && !os.IsNotExist(err) {
		return true // nearly always it is the first process
	}
	for _, pid := range f.members() {
		if has, _ := hasFile(pid, link); has {
			return true
		}
	}
	return false
}

// hasFile reports whether a process has a file open that /proc shows as link.
func hasFile(pid int, link string) (bool, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if to, err := os.Readlink(dir + "/" + e.Name()); err == nil && to == link {
			return true, nil
		}
	}
	return false, nil
}

// diagSocket asks the kernel for the inode of one connected TCP socket, by its own and
// its peer's address: see sock_diag(7). 0: no process has it.
func diagSocket(own, peer netip.AddrPort) (uint32, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return 0, fmt.Errorf("open sock_diag: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	patience := unix.NsecToTimeval(time.Second.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience); err != nil {
		return 0, fmt.Errorf("open sock_diag: %w", err)
	}
	if err := unix.Sendto(fd, diagOne(own, peer), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, fmt.Errorf("ask sock_diag: %w", err)
	}
	buf := make([]byte, 4<<10)
	n, _, err := unix.Recvfrom(fd, buf, 0)
	if err != nil {
		return 0, fmt.Errorf("read sock_diag: %w", err)
	}
	msgs, err := syscall.ParseNetlinkMessage(buf[:n])
	if err != nil || len(msgs) == 0 {
		return 0, fmt.Errorf("read sock_diag: %w", err)
	}
	m := msgs[0]
	if m.Header.Type == unix.NLMSG_ERROR {
		if len(m.Data) >= 4 && syscall.Errno(-int32(binary.NativeEndian.Uint32(m.Data))) == unix.ENOENT {
			return 0, nil
		}
		return 0, fmt.Errorf("sock_diag refuses")
	}
	if len(m.Data) < 72 {
		return 0, fmt.Errorf("sock_diag answers %d bytes", len(m.Data))
	}
	return binary.NativeEndian.Uint32(m.Data[68:]), nil
}

// diagOne is a request for one socket: a netlink header and struct inet_diag_req_v2.
func diagOne(own, peer netip.AddrPort) []byte {
	const sockDiagByFamily, length, noCookie = 20, 16 + 56, 1<<32 - 1
	b := make([]byte, length)
	binary.NativeEndian.PutUint32(b, length)
	binary.NativeEndian.PutUint16(b[4:], sockDiagByFamily)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST)
	b[16], b[17] = unix.AF_INET, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[20:], 1<<32-1) // in any state
	binary.BigEndian.PutUint16(b[24:], own.Port())
	binary.BigEndian.PutUint16(b[26:], peer.Port())
	from, to := own.Addr().Unmap().As4(), peer.Addr().Unmap().As4()
	copy(b[28:], from[:])
	copy(b[44:], to[:])
	binary.NativeEndian.PutUint32(b[64:], noCookie)
	binary.NativeEndian.PutUint32(b[68:], noCookie)
	return b
}
