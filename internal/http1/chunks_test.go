package http1

import (
	"errors"
	"strings"
	"testing"
)

func TestChunks_areRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ raw, content, trailers string }{
		{"0\r\n\r\n", "", ""},
		{"000\r\n\r\n", "", ""},
		{"5\r\nhello\r\n0\r\n\r\nGET", "hello", ""},
		{"A\r\n0123456789\r\n00a\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n", "0123456789\r\n\r\n\r\n\r\n\r\n", ""},
		{"1;a\r\nx\r\n1;a=b;c=\"d;\\\"\te\"\r\ny\r\n0;f\r\n\r\n", "xy", ""},
		{"1\r\nx\r\n0\r\nX-Sum: 1 \r\nETag:\t\"a\"\r\n\r\n", "x", "X-Sum: 1\nETag: \"a\"\n"},
		{
			"0\r\nContent-Length: 1\r\nTransfer-Encoding: x\r\nHost: a\r\nAuthorization: a\r\nContent-Type: a\r\nX-Forwarded-For: a\r\nSet-Cookie: a\r\n" +
				"Cache-Control: a\r\nTrailer: a\r\nIf-Match: a\r\nProxy-Status: a\r\nConnection: a\r\nX: 1\r\n\r\n", "", "X: 1\n",
		},
	} {
		content, trailers, used, err := body(Limits{}, []byte(c.raw))
		if err != nil || string(content) != c.content || trailers != c.trailers || used != len(strings.TrimSuffix(c.raw, "GET")) {
			t.Errorf("%q: %q %q used %d, %v", c.raw, content, trailers, used, err)
		}
		checkBodySplits(t, []byte(c.raw), Limits{})
	}
}

// The data of a chunk comes out as it came in, in the caller's memory.
func TestChunks_doNotCopy(t *testing.T) {
	t.Parallel()
	raw := []byte("5\r\nhello\r\n0\r\n\r\n")
	var c Chunks
	data, used, err := c.Feed(raw, Limits{})
	if err != nil || used != 8 || &data[0] != &raw[3] || len(data) != 5 || cap(data) != 5 || c.Done() {
		t.Fatalf("%q %d %v", data, used, err)
	}
	data, n, err := c.Feed(raw[used:], Limits{})
	if err != nil || len(data) != 0 || used+n != len(raw) || !c.Done() {
		t.Fatalf("%q %d %v", data, n, err)
	}
	c.Reset()
	if data, _, err = c.Feed(raw, Limits{}); string(data) != "hello" || err != nil {
		t.Errorf("after Reset: %q %v", data, err)
	}
}

func TestChunks_areRefused(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"\r\n", "\n", ";\r\n", " 5\r\n", "g\r\n", "x5\r\n", "-5\r\n", "+5\r\n", "0x5\r\n", "5 \r\n", "5\t\r\n", "5 ;a\r\n", "5; a\r\n", "5;a =b\r\n", "5;a= b\r\n", "5;\r\n",
		"5;;\r\n", "5;=\r\n", "5;a=\r\n", "5;a=\"\r\n", "5;a=\"b\"c\r\n", "5;a=b\"\r\n", "5;a\x00\r\n", "5;a\n", "5\n", "5\rx", "5\r\r\n", "5;a\rb\r\n", "5;a=\"\n\"\r\n", "5;a\r\r\n",
		"5,5\r\n", "5_0\r\n", "5.\r\n", "1000000000000000\r\n", "0000000000000001\r\n", "ffffffffffffffff\r\n", "1" + strings.Repeat("0", 99),
		"1\r\nxy", "1\r\nx\n", "1\r\nx\rx", "1\r\nx0\r\n", "1\r\n\r\n\r\n1", "0\r\nA\r\n", "0\r\nA : 1\r\n", "0\r\n A: 1\r\n", "0\r\nA: 1\r\n b\r\n", "0\r\nA: 1\n", "0\r\n\n", "0\n", "0\r\n: 1\r\n",
		"0\r\nA: \x00\r\n", "0\r\nA: 1\r2\r\n", "0\r\n\r\r\n", "0\r\nGET / HTTP/1.1\r\n", "0\r\nContent_Length: 1\r\n\r\n",
		"5;" + strings.Repeat("a", mostExtensions) + "\r\n",
		strings.Repeat("1;"+strings.Repeat("a", 100)+"\r\nx\r\n", 50),
	} {
		if _, _, _, err := body(Limits{}, []byte(raw)); status(err) != badRequest {
			t.Errorf("%q: %v", raw, err)
		}
		if len(raw) < 500 { // each cut reads the whole again
			checkBodySplits(t, []byte(raw), Limits{})
		}
	}
	limits := Limits{Trailers: 20, Fields: 2}
	for _, raw := range []string{"0\r\nVia: 1\r\nVia: 2\r\nVia: 3\r\n", "0\r\nA: " + strings.Repeat("a", 20), "0\r\nA: 1\r\nB: 2\r\nC: 3\r\n"} {
		if _, _, _, err := body(limits, []byte(raw)); status(err) != headerFieldsTooLarge {
			t.Errorf("%q: %v", raw, err)
		}
		checkBodySplits(t, []byte(raw), limits)
	}
}

// Extensions in proportion to the data are no attack.
func TestChunks_mayEachHaveAnExtension(t *testing.T) {
	t.Parallel()
	raw := strings.Repeat("40;signature="+strings.Repeat("a", 64)+"\r\n"+strings.Repeat("x", 64)+"\r\n", 100)
	content, _, _, err := body(Limits{}, []byte(raw))
	if !errors.Is(err, errUnfinished) || len(content) != 6400 {
		t.Error(len(content), err)
	}
}
