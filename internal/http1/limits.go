package http1

// Limits bound what one message may make its reader hold. Zero values stand for the defaults.
type Limits struct {
	Head     int // bytes of a head, its first line and the empty line at its end included: 32 KiB
	Line     int // bytes of a request line or status line: 8 KiB (RFC 9112, 3 asks for 8,000 at least)
	Fields   int // fields of a head, and of a trailer section: 100
	Trailers int // bytes of a trailer section: 4,000
}

const (
	defaultHead     = 32 << 10
	defaultLine     = 8 << 10
	defaultFields   = 100
	defaultTrailers = 4000
	most            = 1 << 30 // positions in a head are kept in 32 bits
	mostOptions     = 32      // members of all Connection fields of a head
	mostMethod      = 32      // bytes of a method: the longest registered one has 17
)

// or is l with the defaults in place of zeros.
func (l Limits) or() Limits {
	return Limits{
		Head:     pick(l.Head, defaultHead),
		Line:     pick(l.Line, defaultLine),
		Fields:   pick(l.Fields, defaultFields),
		Trailers: pick(l.Trailers, defaultTrailers),
	}
}

func pick(n, standard int) int {
	if n <= 0 {
		return standard
	}
	return min(n, most)
}
