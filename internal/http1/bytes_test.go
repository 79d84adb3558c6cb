package http1

import (
	"bytes"
	"testing"
)

// A control character is found wherever it stands among bytes of any kind, and nothing else is taken for one.
func TestIsValue_judgesEveryByteEverywhere(t *testing.T) {
	t.Parallel()
	for _, around := range []byte{' ', '\t', 'a', 0x7e, 0x80, 0xff} {
		for length := range 20 {
			b := bytes.Repeat([]byte{around}, length)
			if !isValue(b) {
				t.Errorf("%q is refused", b)
			}
			for at := range b {
				for c := range 256 {
					b[at] = byte(c)
					if want := c == '\t' || c >= ' ' && c != 0x7f; isValue(b) != want {
						t.Fatalf("%q: %v", b, !want)
					}
				}
				b[at] = around
			}
		}
	}
}
