package http1

import (
	"bytes"
	"net/netip"
)

// The most bytes of a domain name (RFC 1035, 2.3.4) and of a label.
const (
	mostHost  = 253
	mostLabel = 63
)

// SplitHost cuts a request's Host into the name or address, with brackets around an IPv6 address, and the port, which may be empty.
func SplitHost(h []byte) (name, port []byte) {
	if i := bytes.LastIndexByte(h, ':'); i >= 0 && (h[0] != '[' || h[i-1] == ']') {
		return h[:i], h[i+1:]
	}
	return h, nil
}

// isHost says that h is a host name, an IPv4 address or an IPv6 address in brackets, with a port or without. RFC 3986 has more for a
// name (percent signs, sub-delims, nothing at all); no domain has them, and what servers make of them differs.
func isHost(h []byte) bool {
	if len(h) == 0 {
		return false
	}
	name, port := SplitHost(h)
	if len(name) < len(h) && !isPort(port) {
		return false
	}
	if len(name) > 0 && name[0] == '[' {
		return isIPv6(name)
	}
	return isName(name)
}

func isPort(p []byte) bool {
	n := 0
	for _, c := range p {
		if c < '0' || c > '9' {
			return false
		}
		if n = n*10 + int(c-'0'); n > 65535 {
			return false
		}
	}
	return len(p) > 0 && len(p) <= 5
}

func isName(name []byte) bool {
	if n := len(name); n > 1 && name[n-1] == '.' { // the root's own dot
		name = name[:n-1]
	}
	if len(name) == 0 || len(name) > mostHost {
		return false
	}
	label := 0
	for _, c := range name {
		switch {
		case c == '.' && label > 0:
			label = 0
		case classes[c]&inName != 0 && label < mostLabel:
			label++
		default:
			return false
		}
	}
	return label > 0
}

func isIPv6(name []byte) bool {
	n := len(name)
	if name[n-1] != ']' || n > len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]") {
		return false
	}
	a, err := netip.ParseAddr(string(name[1 : n-1]))
	return err == nil && a.Is6() && a.Zone() == "" // a zone means something on its own machine only (RFC 6874)
}
