package procfs

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"strconv"
)

// Listening reads the sockets that listen, by inode, from a table such as
// /proc/net/tcp or /proc/PID/net/tcp6. Of one that cannot be read, none.
func Listening(name string) map[string]netip.AddrPort {
	out := map[string]netip.AddrPort{}
	f, err := os.Open(name)
	if err != nil {
		return out
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if inode, addr, ok := parseSocket(sc.Bytes()); ok {
			out[inode] = addr
		}
	}
	return out
}

// parseSocket reads a line of /proc/net/tcp or tcp6; ok is false unless it is of
// a socket that listens.
func parseSocket(line []byte) (inode string, addr netip.AddrPort, ok bool) {
	fields := bytes.Fields(line)
	const listen = "0A"
	if len(fields) < 10 || string(fields[3]) != listen {
		return "", addr, false
	}
	host, port, ok := bytes.Cut(fields[1], []byte{':'})
	if !ok {
		return "", addr, false
	}
	raw, err := hex.DecodeString(string(host))
	p, perr := strconv.ParseUint(string(port), 16, 16)
	if err != nil || perr != nil || (len(raw) != 4 && len(raw) != 16) {
		return "", addr, false
	}
	// The kernel prints each 32-bit word as the machine holds it.
	for i := 0; i < len(raw); i += 4 {
		binary.BigEndian.PutUint32(raw[i:], binary.NativeEndian.Uint32(raw[i:]))
	}
	ip, _ := netip.AddrFromSlice(raw)
	return string(fields[9]), netip.AddrPortFrom(ip.Unmap(), uint16(p)), true
}
