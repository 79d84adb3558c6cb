package namespaces

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// mostPacket is larger than any packet: none carries what the user has written.
const mostPacket = 16 << 10

// wire is one end of the pair of sockets.
type wire struct{ conn *net.UnixConn }

// newWire takes f over, which is one end.
func newWire(f *os.File) (wire, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return wire{}, fmt.Errorf("talk to the other side: %w", err)
	}
	return wire{c.(*net.UnixConn)}, nil
}

// send sends a packet, with a descriptor unless fd is negative.
func (w wire) send(v any, fd int) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("talk to the other side: %w", err)
	}
	var with []byte
	if fd >= 0 {
		with = unix.UnixRights(fd)
	}
	_, _, err = w.conn.WriteMsgUnix(b, with, nil)
	return err
}

// receive waits for a packet. fd is negative when none came along; else it is the
// caller's. It returns [io.EOF] when the other side is gone.
func (w wire) receive(v any) (fd int, err error) {
	b, with := make([]byte, mostPacket), make([]byte, unix.CmsgSpace(4))
	n, m, _, _, err := w.conn.ReadMsgUnix(b, with)
	if err != nil {
		return -1, err
	}
	if n == 0 {
		return -1, io.EOF
	}
	fd = -1
	if msgs, err := unix.ParseSocketControlMessage(with[:m]); err == nil && len(msgs) == 1 {
		if fds, err := unix.ParseUnixRights(&msgs[0]); err == nil && len(fds) == 1 {
			fd = fds[0]
			unix.CloseOnExec(fd) // Go receives them so already; older ones did not
		}
	}
	return fd, json.Unmarshal(b[:n], v)
}
