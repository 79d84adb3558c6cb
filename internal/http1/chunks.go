package http1

import "bytes"

// Chunks follows a chunked body (RFC 9112, 7.1) as its bytes arrive, and cuts the data out of the framing without copying. The zero value
// is ready; Reset makes it ready for the next body.
//
// Extensions are read by their grammar and dropped. What the grammar does not allow is refused, white space that the RFC would have a
// recipient overlook too: chunk lines are where proxies and servers came to differ last.
type Chunks struct {
	// Trailers are the trailer fields once the body is done, but for those that may not come there (RFC 9110, 6.5.1): those that frame,
	// route, authenticate or describe the content. They are Chunks' own bytes and hold until Reset.
	Trailers Fields

	state   chunkState
	digits  int
	left    int64 // of the chunk's data
	spent   int   // bytes of extensions not outweighed by data
	section []byte
	line    int // where the trailer line begins
	lines   int // that were read
}

type chunkState uint8

const (
	atSize chunkState = iota
	atExtension
	inExtension
	atExtensionValue
	inExtensionValue
	inQuoted
	afterBackslash
	afterQuoted
	atSizeLF
	inData
	atDataCR
	atDataLF
	inTrailers
	atEnd
)

const (
	mostSizeDigits = 15   // keeps a chunk's size within int64
	mostExtensions = 4000 // bytes of extensions ahead of the data; each byte of data makes good for two
)

// Done says that the body has ended: its last chunk and its trailers were read.
func (c *Chunks) Done() bool { return c.state == atEnd }

// Reset forgets the body.
func (c *Chunks) Reset() {
	c.Trailers.clear()
	*c = Chunks{Trailers: c.Trailers, section: c.section[:0]}
}

// Feed reads from the start of b, which follows what was used before, up to the end of the next piece of data or of the body. It uses used
// bytes, of which data, at their end, belong to the content; the rest was framing. A call with bytes and before the end uses one at least.
// So a caller feeds what is left until nothing is left or Done. An error is an *Error with status 400 or 431; an upstream's is the caller's
// 502.
func (c *Chunks) Feed(b []byte, limits Limits) (data []byte, used int, err error) {
	for used < len(b) && c.state != atEnd {
		switch c.state {
		case inData:
			n := int(min(int64(len(b)-used), c.left))
			data = b[used : used+n : used+n]
			if c.left -= int64(n); c.left == 0 {
				c.state = atDataCR
			}
			return data, used + n, nil
		case inTrailers:
			n, e := c.trailers(b[used:], limits.or())
			if e != nil {
				return nil, used, e
			}
			used += n
		default:
			if e := c.step(b[used]); e != nil {
				return nil, used, e
			}
			used++
		}
	}
	return nil, used, nil
}

// step reads one byte of a chunk line, or of what follows a chunk's data.
func (c *Chunks) step(x byte) *Error {
	switch c.state {
	case atSize:
		return c.size(x)
	case atSizeLF:
		if x != '\n' {
			return bad("a chunk line has a CR without LF (RFC 9112, 7.1)")
		}
		c.begin()
		return nil
	case atDataCR:
		if x != '\r' {
			return bad("a chunk's data is longer than its size says (RFC 9112, 7.1)")
		}
		c.state = atDataLF
		return nil
	case atDataLF:
		if x != '\n' {
			return bad("a chunk's data does not end in CRLF (RFC 9112, 7.1)")
		}
		c.state = atSize
		return nil
	default:
		if c.spent++; c.spent > mostExtensions {
			return bad("chunk extensions are longer than the limit allows (RFC 9112, 7.1.1)")
		}
		if !c.extension(x) {
			return bad("a chunk extension is not name, name=token or name=\"text\" (RFC 9112, 7.1.1)")
		}
		return nil
	}
}

// size reads a byte of the size, 1*HEXDIG.
func (c *Chunks) size(x byte) *Error {
	switch {
	case classes[x]&isHex != 0:
		if c.digits++; c.digits > mostSizeDigits {
			return bad("a chunk's size has too many digits")
		}
		c.left = c.left<<4 | int64(hexValue(x))
	case c.digits == 0:
		return bad("a chunk does not begin with a hexadecimal size (RFC 9112, 7.1)")
	case x == '\r':
		c.state = atSizeLF
	case x == ';':
		c.state = atExtension
	default:
		return bad("a chunk's size is followed by something other than CRLF or an extension (RFC 9112, 7.1)")
	}
	return nil
}

func hexValue(x byte) byte {
	if isDigit(x) {
		return x - '0'
	}
	return (x | 0x20) - 'a' + 10
}

// begin goes from a chunk line to what follows it.
func (c *Chunks) begin() {
	c.digits = 0
	if c.state = inData; c.left == 0 {
		c.state = inTrailers
	}
	c.spent -= int(min(int64(c.spent), 2*c.left))
}

// extension reads a byte of *( ";" token [ "=" ( token / quoted-string ) ] ) and says whether it may stand there.
func (c *Chunks) extension(x byte) bool {
	token := classes[x]&inToken != 0
	switch c.state {
	case atExtension:
		c.state = inExtension
		return token
	case inExtension:
		if x == '=' {
			c.state = atExtensionValue
			return true
		}
		return token || c.afterExtension(x)
	case atExtensionValue:
		if c.state = inExtensionValue; x == '"' {
			c.state = inQuoted
			return true
		}
		return token
	case inExtensionValue:
		return token || c.afterExtension(x)
	case inQuoted:
		switch x {
		case '"':
			c.state = afterQuoted
		case '\\':
			c.state = afterBackslash
		}
		return classes[x]&inValue != 0
	case afterBackslash:
		c.state = inQuoted
		return classes[x]&inValue != 0
	default: // afterQuoted: the states of Feed and step do not come here
		return c.afterExtension(x)
	}
}

func (c *Chunks) afterExtension(x byte) bool {
	switch x {
	case '\r':
		c.state = atSizeLF
	case ';':
		c.state = atExtension
	default:
		return false
	}
	return true
}

// trailers reads from b up to the end of a line or of b. Trailers are few and short, and come in pieces: they are copied.
func (c *Chunks) trailers(b []byte, limits Limits) (used int, e *Error) {
	i := bytes.IndexByte(b, '\n')
	used = i + 1
	if i < 0 {
		used = len(b)
	}
	if len(c.section)+used > limits.Trailers {
		return 0, &Error{Status: headerFieldsTooLarge, Why: "the trailer section is longer than the limit"}
	}
	c.section = append(c.section, b[:used]...)
	if i < 0 {
		return used, nil
	}
	from, to := c.line, len(c.section)-len("\r\n")
	if to < from || c.section[to] != '\r' {
		return 0, bad("a trailer line ends in LF without CR (RFC 9112, 2.2)")
	}
	c.line = len(c.section)
	if from == to {
		c.state = atEnd
		c.Trailers.bytes = c.section
		return used, nil
	}
	if c.lines++; c.lines > limits.Fields {
		return 0, &Error{Status: headerFieldsTooLarge, Why: "more trailer fields than the limit allows"}
	}
	f, e := c.Trailers.add(c.section, from, to, limits.Fields)
	if e != nil {
		return 0, e
	}
	if notInTrailers(f.name.of(c.section)) {
		c.Trailers.list = c.Trailers.list[:len(c.Trailers.list)-1]
	}
	return used, nil
}
