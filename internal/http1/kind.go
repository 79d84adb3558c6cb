package http1

// kind tells apart the fields that this package acts upon.
type kind uint8

const (
	other kind = iota
	host
	contentLength
	transferEncoding
	connection
	keepAlive
	proxyConnection
	proxyAuthenticate
	proxyAuthorization
	te
	trailer
	upgrade
	http2Settings
	expect
)

// kindOf finds a name's kind. By its length at most two names have to be compared.
func kindOf(name []byte) kind {
	switch len(name) {
	case 2:
		return named(name, "te", te)
	case 4:
		return named(name, "host", host)
	case 6:
		return named(name, "expect", expect)
	case 7:
		return named(name, "upgrade", upgrade) | named(name, "trailer", trailer)
	case 10:
		return named(name, "connection", connection) | named(name, "keep-alive", keepAlive)
	case 14:
		return named(name, "content-length", contentLength) | named(name, "http2-settings", http2Settings)
	case 16:
		return named(name, "proxy-connection", proxyConnection)
	case 17:
		return named(name, "transfer-encoding", transferEncoding)
	case 18:
		return named(name, "proxy-authenticate", proxyAuthenticate)
	case 19:
		return named(name, "proxy-authorization", proxyAuthorization)
	default:
		return other
	}
}

func named(name []byte, lower string, k kind) kind {
	if same(name, lower) {
		return k
	}
	return other
}

// hop says that fields of the kind are never forwarded: this connection's own (RFC 9110, 7.6.1), and what the writer or its caller says
// itself.
func (k kind) hop() bool { return k != other && k != trailer }

// isForwarding says that the name tells a server who asked, through whom, or for which host: what a proxy says and a server believes.
func isForwarding(name []byte) bool {
	switch len(name) {
	case 3:
		return same(name, "via")
	case 4:
		return same(name, "host")
	case 9:
		return same(name, "forwarded") || same(name, "x-real-ip")
	default:
		return begins(name, "x-forwarded-")
	}
}

// notAnOption says that Connection may not name the field: a proxy would take it out, and a server would then frame, route or trust the
// message otherwise than the proxy did.
func notAnOption(name []byte) bool {
	return isForwarding(name) || begins(name, "content-") || same(name, "transfer-encoding") || same(name, "expect") ||
		same(name, "authorization") || same(name, "cookie") || same(name, "set-cookie")
}

// notInTrailers says that a field may not come after the content: it frames, routes, authenticates or describes what was handled by
// then (RFC 9110, 6.5.1).
func notInTrailers(name []byte) bool {
	if kindOf(name) != other || notAnOption(name) || begins(name, "if-") || begins(name, "proxy-") || begins(name, "access-control-") {
		return true
	}
	switch len(name) {
	case 3:
		return same(name, "age")
	case 4:
		return same(name, "date") || same(name, "vary")
	case 5:
		return same(name, "range")
	case 6:
		return same(name, "pragma") || same(name, "origin")
	case 7:
		return same(name, "expires") || same(name, "warning") || same(name, "referer")
	case 8:
		return same(name, "location")
	case 11:
		return same(name, "retry-after")
	case 12:
		return same(name, "max-forwards")
	case 13:
		return same(name, "cache-control") || same(name, "accept-ranges")
	case 16:
		return same(name, "www-authenticate")
	case 25:
		return same(name, "strict-transport-security")
	default:
		return false
	}
}
