package http1

import (
	"bytes"
	"testing"
)

func TestRequest_isWrittenForTheNextServer(t *testing.T) {
	t.Parallel()
	var r Request
	raw := "POST http://b.example/x?y HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\n" +
		"Proxy-Connection: 1\r\nProxy-Authorization: 1\r\nTE: trailers\r\nHTTP2-Settings: x\r\nUpgrade: h2c\r\nExpect: 100-continue\r\nTrailer: X-Sum\r\n" +
		"X-Forwarded-For: 6.6.6.6\r\naccept:\t a \r\n\r\n"
	if n, err := r.Parse([]byte(raw), Limits{}); n != len(raw) || err != nil {
		t.Fatal(n, err)
	}
	omit := func(name, _ []byte) bool { return equal(name, "x-forwarded-for") }
	got := string(AppendEnd(AppendField(r.Append(nil, r.Framing, omit), "X-Request-Id", "1")))
	want := "POST /x?y HTTP/1.1\r\nHost: b.example\r\nTrailer: X-Sum\r\naccept: a\r\nTransfer-Encoding: chunked\r\nX-Request-Id: 1\r\n\r\n"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
	got = string(r.Append(nil, Framing{Length: 7}, omit))
	if want = "POST /x?y HTTP/1.1\r\nHost: b.example\r\naccept: a\r\nContent-Length: 7\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestResponse_isWrittenForTheClient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		raw    string
		toHEAD bool
		want   string
	}{
		{"HTTP/1.0 200\r\nContent-Length: 3\r\nConnection: x\r\nX: 1\r\nY: 2\r\n\r\n", false, "HTTP/1.1 200 \r\nY: 2\r\nContent-Length: 3\r\n"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n", false, "HTTP/1.1 200 OK\r\nTrailer: A\r\nTransfer-Encoding: chunked\r\n"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true, "HTTP/1.1 200 OK\r\n"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", true, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"},
		{"HTTP/1.1 304 x\r\nContent-Length: 3\r\nTE: x\r\n\r\n", false, "HTTP/1.1 304 x\r\nContent-Length: 3\r\n"},
		{"HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n", false, "HTTP/1.1 204 x\r\n"},
		{"HTTP/1.1 103 x\r\nLink: a\r\nProxy-Authenticate: x\r\n\r\n", false, "HTTP/1.1 103 x\r\nLink: a\r\n"},
	} {
		var r Response
		if n, err := r.Parse([]byte(c.raw), Limits{}, c.toHEAD); n == 0 || err != nil {
			t.Fatal(c.raw, n, err)
		}
		if got := string(r.Append(nil, r.Framing, nil)); got != c.want {
			t.Errorf("%q: %q, want %q", c.raw, got, c.want)
		}
	}
	var r Response
	if _, err := r.Parse([]byte("HTTP/1.1 204 x\r\n\r\n"), Limits{}, false); err != nil {
		t.Fatal(err)
	}
	if got := string(r.Append(nil, Framing{Length: 5, Chunked: true}, nil)); got != "HTTP/1.1 204 x\r\n" {
		t.Errorf("204 got framing: %q", got)
	}
}

// Nothing that a caller passes as a value begins a line of its own.
func TestAppend_writesOneLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ got, want string }{
		{string(AppendField(nil, "X", "a\r\nY: b\x00\tc")), "X: a  Y: b \tc\r\n"},
		{string(AppendField([]byte("A: 1\r\n"), "X", []byte("\n"))), "A: 1\r\nX:  \r\n"},
		{string(AppendField(nil, "X Y", "a")), ""},
		{string(AppendField(nil, "X\r\nY", "a")), ""},
		{string(AppendField(nil, "", "a")), ""},
		{string(AppendStatusLine(nil, 200, "a\r\nb")), "HTTP/1.1 200 a  b\r\n"},
		{string(AppendRequestLine(nil, "GET", "/x?y")), "GET /x?y HTTP/1.1\r\n"},
		{string(AppendUpgrade(nil, "websocket")), "Connection: Upgrade\r\nUpgrade: websocket\r\n"},
		{string(AppendFraming(nil, Framing{Length: -1})), ""},
		{string(AppendFraming(nil, Framing{})), "Content-Length: 0\r\n"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestAppendChunk_isReadBack(t *testing.T) {
	t.Parallel()
	var trailers Fields
	trailers.bytes = []byte("X-Sum: 1\r\nHost: evil\r\n")
	for _, at := range [][2]int{{0, 8}, {10, 20}} {
		if _, e := trailers.add(trailers.bytes, at[0], at[1], 9); e != nil {
			t.Fatal(e)
		}
	}
	long := bytes.Repeat([]byte("x"), 300)
	raw := AppendChunk(AppendChunk(AppendChunk(nil, []byte("hello")), nil), long)
	raw = AppendEnd(append(AppendChunkSize(raw, 3), "end"...))
	raw = AppendLastChunk(raw, &trailers)
	content, got, used, err := body(Limits{}, raw)
	if err != nil || string(content) != "hello"+string(long)+"end" || got != "X-Sum: 1\n" || used != len(raw) {
		t.Errorf("%q: %q %q %d %v", raw, content, got, used, err)
	}
	if got := string(AppendLastChunk(nil, &trailers)); got != "0\r\nX-Sum: 1\r\n\r\n" {
		t.Errorf("%q", got)
	}
	if got := string(AppendLastChunk(nil, nil)); got != "0\r\n\r\n" {
		t.Errorf("%q", got)
	}
}
