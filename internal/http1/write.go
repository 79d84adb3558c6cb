package http1

import "strconv"

// The writers append to dst and answer with it, as append does, and allocate only where dst has to grow. Of a message that was parsed they
// write what Parse read, never the bytes themselves: a line is made anew from its parts, and framing is said here and nowhere else.

// text is what names and values come as.
type text interface{ ~string | ~[]byte }

// AppendRequestLine writes a request line of HTTP/1.1. Method and target are the caller's to vouch for.
func AppendRequestLine[M, T text](dst []byte, method M, target T) []byte {
	dst = append(dst, method...)
	dst = append(dst, ' ')
	dst = append(dst, target...)
	return append(dst, " HTTP/1.1\r\n"...)
}

// AppendStatusLine writes a status line of HTTP/1.1. The status is between 100 and 599.
func AppendStatusLine[R text](dst []byte, status int, reason R) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	return appendLine(dst, reason)
}

// AppendField writes a field. A byte that may not stand in a value becomes a space, so that no value begins a line of its own; a name that
// is not a token writes nothing, since there is no other name that would be right.
func AppendField[N, V text](dst []byte, name N, value V) []byte {
	if len(name) == 0 {
		return dst
	}
	for i := range len(name) {
		if classes[name[i]]&inToken == 0 {
			return dst
		}
	}
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	return appendLine(dst, value)
}

// appendLine writes the value and ends the line.
func appendLine[V text](dst []byte, value V) []byte {
	start := len(dst)
	dst = append(dst, value...)
	if written := dst[start:]; !isValue(written) {
		for i, x := range written {
			if classes[x]&inValue == 0 {
				written[i] = ' '
			}
		}
	}
	return append(dst, '\r', '\n')
}

// AppendFraming writes Transfer-Encoding, or else Content-Length, or nothing when there is neither.
func AppendFraming(dst []byte, f Framing) []byte {
	switch {
	case f.Chunked:
		return append(dst, "Transfer-Encoding: chunked\r\n"...)
	case f.Length >= 0:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, f.Length, 10)
		return append(dst, '\r', '\n')
	default:
		return dst
	}
}

// AppendUpgrade writes what asks for or agrees to a change of protocol (RFC 9110, 7.8).
func AppendUpgrade[P text](dst []byte, protocol P) []byte {
	return AppendField(append(dst, "Connection: Upgrade\r\n"...), "Upgrade", protocol)
}

// AppendEnd writes the empty line that ends a head.
func AppendEnd(dst []byte) []byte { return append(dst, '\r', '\n') }

// Omit says which fields a caller leaves out, because it replaces them or passes them to nobody. It is not asked for fields that are for
// one connection only. A nil Omit leaves out nothing.
type Omit func(name, value []byte) bool

// Append writes the request for the next server, without the end of its head, so that the caller can add fields: the request line with the
// path and the query, Host, the fields that are not for one connection only, and the framing. Path, Query and Host may have been changed by
// the caller, who then vouches for them. Expect is for the caller to answer or to add again, as Upgrade is.
func (r *Request) Append(dst []byte, f Framing, omit Omit) []byte {
	dst = append(dst, r.Method...)
	dst = append(dst, ' ')
	if len(r.Path) == 0 {
		dst = append(dst, r.Target...)
	} else {
		dst = append(dst, r.Path...)
	}
	if r.HasQuery {
		dst = append(dst, '?')
		dst = append(dst, r.Query...)
	}
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = appendLine(dst, r.Host)
	dst = r.appendFields(dst, f, omit)
	return AppendFraming(dst, f)
}

// Append writes the answer for the client, without the end of its head: the status line, the fields that are not for one connection only,
// and the framing, which is left out where RFC 9110 (8.6) and RFC 9112 (6.1) allow none.
func (r *Response) Append(dst []byte, f Framing, omit Omit) []byte {
	if r.NoBody {
		f.Chunked = false
	}
	if r.Status < firstFinal || r.Status == noContent {
		f.Length = -1
	}
	dst = AppendStatusLine(dst, r.Status, r.Reason)
	dst = r.appendFields(dst, f, omit)
	return AppendFraming(dst, f)
}

func (f *Fields) appendFields(dst []byte, framing Framing, omit Omit) []byte {
	for i := range f.list {
		x := &f.list[i]
		if x.hop || x.kind == trailer && !framing.Chunked { // without chunks there is no place for what Trailer announces
			continue
		}
		name, value := x.name.of(f.bytes), x.value.of(f.bytes)
		if omit != nil && omit(name, value) {
			continue
		}
		dst = append(dst, name...)
		dst = append(dst, ':', ' ')
		dst = append(dst, value...)
		dst = append(dst, '\r', '\n')
	}
	return dst
}

// AppendChunk writes one chunk. Without data it writes nothing: an empty chunk would end the body.
func AppendChunk(dst, data []byte) []byte {
	if len(data) == 0 {
		return dst
	}
	dst = AppendChunkSize(dst, len(data))
	dst = append(dst, data...)
	return append(dst, '\r', '\n')
}

// AppendChunkSize writes the line before n bytes of data, which a caller sends from where they are and ends with AppendEnd. n is above 0.
func AppendChunkSize(dst []byte, n int) []byte {
	dst = strconv.AppendInt(dst, int64(n), 16)
	return append(dst, '\r', '\n')
}

// AppendLastChunk writes the end of a chunked body, with the trailers that may come there; nil has none.
func AppendLastChunk(dst []byte, trailers *Fields) []byte {
	dst = append(dst, "0\r\n"...)
	if trailers != nil {
		for name, value := range trailers.All() {
			if !notInTrailers(name) {
				dst = AppendField(dst, name, value)
			}
		}
	}
	return AppendEnd(dst)
}
