package http1

import "encoding/binary"

// class says where a byte may stand.
type class uint8

const (
	inToken  class = 1 << iota // RFC 9110, 5.6.2: field names, methods, options
	inValue                    // RFC 9110, 5.5: visible characters, space, tab and bytes from 0x80
	inTarget                   // visible ASCII, the fragment's # left out (RFC 9112, 3.2: a target has none)
	inName                     // labels of a host name
	isHex
	isUnderscore
)

const tokenMarks = "!#$%&'*+-.^_`|~"

// classes is the table of all bytes, and fold their lower case with _ read as -, as CGI and its heirs read names (RFC 3875, 4.1.18).
var (
	classes = makeClasses()
	fold    = makeFold()
)

func makeClasses() (t [256]class) {
	for i := range t {
		c := byte(i)
		digit, letter := c >= '0' && c <= '9', c|0x20 >= 'a' && c|0x20 <= 'z'
		if digit || letter {
			t[c] |= inToken | inName
		}
		if digit || c|0x20 >= 'a' && c|0x20 <= 'f' {
			t[c] |= isHex
		}
		if c == '\t' || c >= ' ' && c != 0x7f {
			t[c] |= inValue
		}
		if c > ' ' && c < 0x7f && c != '#' {
			t[c] |= inTarget
		}
	}
	for _, c := range []byte(tokenMarks) {
		t[c] |= inToken
	}
	t['-'] |= inName
	t['_'] |= inName | isUnderscore
	return t
}

func makeFold() (t [256]byte) {
	for i := range t {
		c := byte(i)
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c == '_' {
			c = '-'
		}
		t[i] = c
	}
	return t
}

// all says that every byte of b is of class c.
func all(b []byte, c class) bool {
	for _, x := range b {
		if classes[x]&c == 0 {
			return false
		}
	}
	return true
}

// isValue says that every byte of b may stand in a field value.
func isValue(b []byte) bool {
	const word = 8
	if len(b) < word {
		return all(b, inValue)
	}
	for i := 0; i+word <= len(b); i += word {
		if !isValueWord(b[i : i+word]) {
			return false
		}
	}
	return isValueWord(b[len(b)-word:])
}

// isValueWord judges eight bytes at once: is any below 0x20, or 0x7f? If so the table judges them, since a tab is allowed.
func isValueWord(b []byte) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	x := binary.LittleEndian.Uint64(b)
	del := x ^ 0x7f*ones
	return ((x-' '*ones)&^x|(del-ones)&^del)&high == 0 || all(b, inValue)
}

// same says that b is s, which is in lower case, but for the case of b's ASCII letters and for _ in the place of -.
func same(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range len(s) {
		if fold[b[i]] != s[i] {
			return false
		}
	}
	return true
}

// begins says that b begins with s by the rule of same.
func begins(b []byte, s string) bool { return len(b) >= len(s) && same(b[:len(s)], s) }

// span is a part of the head's bytes by its positions, which stay true when the caller moves the bytes.
type span struct{ from, to uint32 }

func (s span) of(b []byte) []byte { return b[s.from:s.to:s.to] }
