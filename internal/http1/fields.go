package http1

import "iter"

// Fields are the fields of one head or trailer section, in the order and in the letters in which they came. Names and values are views of
// the bytes that were parsed and end with them.
type Fields struct {
	bytes []byte
	list  []field
}

// field is one field line.
type field struct {
	name, value span
	kind        kind
	hop         bool // for this connection only
}

// Len is the number of fields.
func (f *Fields) Len() int { return len(f.list) }

// At is the field at place i, from 0 to Len()-1. The value has no space around it.
func (f *Fields) At(i int) (name, value []byte) {
	x := &f.list[i]
	return x.name.of(f.bytes), x.value.of(f.bytes)
}

// All yields every field.
func (f *Fields) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for i := range f.list {
			if !yield(f.At(i)) {
				return
			}
		}
	}
}

// Value is the value of the first field of that name, which is given in lower case, and whether there is one.
func (f *Fields) Value(lower string) ([]byte, bool) {
	for i := range f.list {
		if name := f.list[i].name.of(f.bytes); equal(name, lower) {
			return f.list[i].value.of(f.bytes), true
		}
	}
	return nil, false
}

// Hop says that the field at place i is for this connection only and has to be left out of what is forwarded: the hop-by-hop fields of
// RFC 9110, 7.6.1, those that Connection names, credentials for a proxy, and Host, Content-Length and Expect, which are said anew.
func (f *Fields) Hop(i int) bool { return f.list[i].hop }

func (f *Fields) clear() { f.bytes, f.list = nil, f.list[:0] }

// add parses the field line at b[from:to], which comes without its CRLF.
func (f *Fields) add(b []byte, from, to, limit int) (*field, *Error) {
	line := b[from:to]
	var seen class
	i := 0
	for i < len(line) && classes[line[i]]&inToken != 0 {
		seen |= classes[line[i]]
		i++
	}
	if i == len(line) || line[i] != ':' || i == 0 {
		return nil, nameFault(line, i)
	}
	if !isValue(line[i+1:]) {
		return nil, bad("a field value holds a control character: CR, LF, NUL and their like may not stand in a value (RFC 9110, 5.5)")
	}
	if len(f.list) >= limit {
		return nil, &Error{Status: headerFieldsTooLarge, Why: "more fields than the limit allows"}
	}
	start, end := from+i+1, to
	for start < end && (b[start] == ' ' || b[start] == '\t') {
		start++
	}
	for end > start && (b[end-1] == ' ' || b[end-1] == '\t') {
		end--
	}
	k := kindOf(line[:i])
	if seen&isUnderscore != 0 && k != other { // what tells who has asked is the caller's to leave out
		return nil, bad("a field name with _ reads as one of HTTP's own fields to whoever takes _ for -")
	}
	f.list = append(f.list, field{
		name:  span{uint32(from), uint32(from + i)},
		value: span{uint32(start), uint32(end)},
		kind:  k,
		hop:   k.hop(),
	})
	return &f.list[len(f.list)-1], nil
}

// nameFault says what is wrong with a line whose name ends at i without a colon.
func nameFault(line []byte, i int) *Error {
	space := i < len(line) && (line[i] == ' ' || line[i] == '\t')
	switch {
	case i == 0 && space:
		return bad("a line begins with a space: folded lines are obsolete (RFC 9112, 5.2)")
	case i == 0 && len(line) > 0 && line[0] == ':':
		return bad("a field has no name")
	case space:
		return bad("a space stands between a field's name and its colon (RFC 9112, 5.1)")
	case i == len(line):
		return bad("a field line has no colon")
	default:
		return bad("a field name holds a character that is not of a token (RFC 9110, 5.1)")
	}
}

// equal says that b is lower but for the case of its ASCII letters.
func equal(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range len(lower) {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
