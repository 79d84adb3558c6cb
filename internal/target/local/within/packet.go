package within

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"titrate/internal/target/local/shim"
)

// What the two sides say to each other: a packet each, in JSON, with descriptors where
// they are given.
type (
	// request goes in; each is answered by a reply, in order.
	request struct {
		Keep   bool            `json:"keep,omitempty"`   // take over what comes along: both outputs, and what the program keeps
		Socket int             `json:"socket,omitempty"` // make a TCP socket of this family
		Listen netip.AddrPort  `json:"listen,omitzero"`  // listen there
		List   bool            `json:"list,omitempty"`   // tell where programs listen
		Lead   []shim.Redirect `json:"lead,omitempty"`   // lead connections elsewhere
		Start  bool            `json:"start,omitempty"`  // start the program
		Memory int64           `json:"memory,omitempty"` // with it: end all when they have more bytes in memory
		Signal unix.Signal     `json:"signal,omitempty"` // send it to the program
	}
	// reply goes out. The first answers no request: all is there for the program, or
	// why it is not.
	reply struct {
		Error  string           `json:"error,omitempty"`
		Errno  unix.Errno       `json:"errno,omitempty"`
		Listen []netip.AddrPort `json:"listen,omitempty"`
		End    *End             `json:"end,omitempty"` // answers no request: nothing runs within any more
	}
)

// End is how the program ended.
type End struct {
	shim.Exit
	// OutOfMemory says that something was killed for the limit of memory, where that can be
	// seen within.
	OutOfMemory bool `json:"out_of_memory,omitempty"`
}

const (
	// mostPacket is larger than any packet: none carries what the user has written.
	mostPacket = 16 << 10
	mostFiles  = 253 // that the kernel lets come along
)

// wire is one end of a connection of packets.
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

// send sends a packet with descriptors.
func (w wire) send(v any, fds ...int) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("talk to the other side: %w", err)
	}
	var with []byte
	if len(fds) > 0 {
		with = unix.UnixRights(fds...)
	}
	_, _, err = w.conn.WriteMsgUnix(b, with, nil)
	return err
}

// receive waits for a packet. What came along is the caller's. It returns [io.EOF] when
// the other side is gone.
func (w wire) receive(v any) (fds []int, err error) {
	b, with := make([]byte, mostPacket), make([]byte, unix.CmsgSpace(4*mostFiles))
	n, m, _, _, err := w.conn.ReadMsgUnix(b, with)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, io.EOF
	}
	msgs, err := unix.ParseSocketControlMessage(with[:m])
	for _, msg := range msgs {
		got, _ := unix.ParseUnixRights(&msg) // nothing else is sent
		fds = append(fds, got...)
	}
	if err != nil {
		return fds, fmt.Errorf("talk to the other side: %w", err)
	}
	return fds, json.Unmarshal(b[:n], v)
}
