package gateway

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
)

// introduces reports whether who is at an address says first of whom a connection is, by
// the PROXY protocol of HAProxy (proxy-protocol.txt, versions 1 and 2): those who are
// trusted, if any is said to. Of others nothing is believed.
func (f *front) introduces(from netip.Addr) bool {
	return f.g.cfg.ProxyProtocol && !f.internal && f.g.trustsAddr(from)
}

// introduced is a connection of which its proxy says first whose it is, or the connection
// as it is.
func (f *front) introduced(c net.Conn) net.Conn {
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil || !f.introduces(at.Addr()) {
		return c
	}
	return proxyproto.NewConn(c, proxyproto.WithPolicy(proxyproto.REQUIRE), proxyproto.SetReadHeaderTimeout(f.g.cfg.HeaderTimeout))
}

// The lengths of the headers of both versions.
const (
	leastIntroduction  = 15  // "PROXY UNKNOWN\r\n"
	mostIntroduction   = 107 // of version 1
	mostIntroductionV2 = 16 + 2048
)

var signatureV2 = []byte("\r\n\r\n\x00\r\nQUIT\n")

// readIntroduction reads the header of a connection, and nothing behind it. The address is
// invalid where the proxy speaks for itself, as in its health checks.
func readIntroduction(c net.Conn, until time.Time) (netip.AddrPort, error) {
	var none netip.AddrPort
	if err := c.SetReadDeadline(until); err != nil {
		return none, err
	}
	head := make([]byte, leastIntroduction, mostIntroduction)
	if _, err := io.ReadFull(c, head); err != nil {
		return none, err
	}
	grow := func(n int) error {
		head = append(head, make([]byte, n)...)
		_, err := io.ReadFull(c, head[len(head)-n:])
		return err
	}
	switch {
	case bytes.HasPrefix(head, signatureV2):
		if err := grow(1); err != nil {
			return none, err
		}
		n := int(binary.BigEndian.Uint16(head[14:]))
		if len(head)+n > mostIntroductionV2 {
			return none, fmt.Errorf("its header of the PROXY protocol has %d bytes", n)
		}
		if err := grow(n); err != nil {
			return none, err
		}
	case bytes.HasPrefix(head, []byte("PROXY ")):
		for !bytes.HasSuffix(head, []byte("\r\n")) {
			if len(head) == mostIntroduction {
				return none, errors.New("its line of the PROXY protocol does not end")
			}
			if err := grow(1); err != nil {
				return none, err
			}
		}
	default:
		return none, errors.New("it does not begin with a header of the PROXY protocol")
	}
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(head), mostIntroductionV2))
	if err != nil {
		return none, err
	}
	if source, _, ok := h.TCPAddrs(); ok && !h.Command.IsLocal() {
		none = source.AddrPort()
	}
	return none, c.SetReadDeadline(time.Time{})
}
