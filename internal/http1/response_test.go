package http1

import (
	"fmt"
	"strings"
	"testing"
)

func TestResponse_isRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		raw    string
		toHEAD bool
		want   string
	}{
		"length": {
			"HTTP/1.1 200 Very \xc3\xa4 OK\r\nContent-Length: 5\r\nX: 1\r\n\r\n12345", false,
			"200 \"Very ä OK\" 1.1 length=5 chunked=false nobody=false eof=false close=false upgrade=\"\"\n" +
				"\"Content-Length\": \"5\" hop=true\n\"X\": \"1\" hop=false",
		},
		"chunks": {
			"HTTP/1.1 404 \r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n", false,
			"404 \"\" 1.1 length=-1 chunked=true nobody=false eof=false close=true upgrade=\"\"\n" +
				"\"Transfer-Encoding\": \"chunked\" hop=true\n\"Connection\": \"close\" hop=true",
		},
		"to the end": {"HTTP/1.1 200\r\n\r\n", false, `200 "" 1.1 length=-1 chunked=false nobody=false eof=true close=true upgrade=""`},
		"1.0": {
			"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false,
			"200 \"OK\" 1.0 length=0 chunked=false nobody=false eof=false close=true upgrade=\"\"\n\"Content-Length\": \"0\" hop=true",
		},
		"1.0 kept": {
			"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", false,
			"200 \"OK\" 1.0 length=0 chunked=false nobody=false eof=false close=false upgrade=\"\"\n\"Content-Length\": \"0\" hop=true\n" +
				"\"Connection\": \"keep-alive\" hop=true",
		},
		"to HEAD": {
			"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true,
			"200 \"OK\" 1.1 length=5 chunked=false nobody=true eof=false close=false upgrade=\"\"\n\"Content-Length\": \"5\" hop=true",
		},
		"304": {
			"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false,
			"304 \"Not Modified\" 1.1 length=5 chunked=false nobody=true eof=false close=false upgrade=\"\"\n\"Content-Length\": \"5\" hop=true",
		},
		"204 with a length of nothing": {
			"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", false,
			"204 \"No Content\" 1.1 length=-1 chunked=false nobody=true eof=false close=false upgrade=\"\"\n\"Content-Length\": \"0\" hop=true",
		},
		"103": {
			"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", false,
			"103 \"Early Hints\" 1.1 length=-1 chunked=false nobody=true eof=false close=false upgrade=\"\"\n\"Link\": \"</a>\" hop=false",
		},
		"101": {
			"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", false,
			"101 \"Switching Protocols\" 1.1 length=-1 chunked=false nobody=true eof=false close=false upgrade=\"websocket\"\n" +
				"\"Connection\": \"upgrade\" hop=true\n\"Upgrade\": \"websocket\" hop=true",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r Response
			n, err := r.Parse([]byte(c.raw), Limits{}, c.toHEAD)
			want := fmt.Sprintf("n=%d %s", strings.Index(c.raw, "\r\n\r\n")+4, c.want)
			if got := strings.ReplaceAll(r.shown(n), `\u00e4`, "ä"); err != nil || got != want {
				t.Errorf("%v\n%s\nwant\n%s", err, got, want)
			}
			checkResponseSplits(t, []byte(c.raw), Limits{}, c.toHEAD)
		})
	}
}

// Whatever is wrong with an upstream's head is 502.
func TestResponse_isRefused(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, raw := range []string{
		"\r\nHTTP/1.1 200 OK\r\n\r\n",
		"SSH-2.0-x\r\n",
		"\x15\x03\x01",
		"HTTP/1.1  200 OK\r\n\r\n",
		"HTTP/1.1\t200 OK\r\n\r\n",
		"HTTP/1.1 200OK\r\n\r\n",
		"HTTP/1.1 200\tOK\r\n\r\n",
		"HTTP/1.1 20 OK\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n",
		"HTTP/1.1 +20 OK\r\n\r\n",
		"HTTP/1.1 099 x\r\n\r\n",
		"HTTP/1.1 600 x\r\n\r\n",
		"HTTP/1.1 999 x\r\n\r\n",
		"HTTP/1.2 200 OK\r\n\r\n",
		"HTTP/2.0 200 OK\r\n\r\n",
		"HTTP/1.1\r\n\r\n",
		"HTTP/1.1 200 a\x00b\r\n\r\n",
		"HTTP/1.1 200 a\rb\r\n\r\n",
		"HTTP/1.1 200 OK\n\r\n",
		ok + "A : 1\r\n\r\n",
		ok + " A: 1\r\n\r\n",
		ok + "A: 1\r\n 2\r\n\r\n",
		ok + "A: 1\n\r\n",
		ok + "A: 1\r\n\n",
		ok + "A: \x00\r\n\r\n",
		ok + ": 1\r\n\r\n",
		ok + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
		ok + "Content-Length: 1, 1\r\n\r\n",
		ok + "Content-Length: -1\r\n\r\n",
		ok + "Content-Length:\r\n\r\n",
		ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		ok + "Transfer-Encoding: gzip, chunked\r\n\r\n",
		ok + "Transfer-Encoding: identity\r\n\r\n",
		ok + "Connection: content-length\r\n\r\n",
		ok + "Connection: Set-Cookie\r\n\r\n",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 204 x\r\nContent-Length: 1\r\n\r\n",
		"HTTP/1.1 103 x\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 100 x\r\nContent-Length: 9\r\n\r\n",
		"HTTP/1.1 101 x\r\n\r\n",
		"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n",
		"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: a, b\r\n\r\n",
		"HTTP/1.0 101 x\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n",
		ok + strings.Repeat("A: 1\r\n", defaultFields+1) + "\r\n",
	} {
		var r Response
		if _, err := r.Parse([]byte(raw), Limits{}, false); status(err) != badGateway {
			t.Errorf("%q: %v", raw, err)
		}
		checkResponseSplits(t, []byte(raw), Limits{}, false)
	}
	var r Response
	if _, err := r.Parse([]byte("HTTP/1.1 200 "+strings.Repeat("a", 100)), Limits{Line: 50}, false); status(err) != badGateway {
		t.Errorf("a long status line: %v", err)
	}
}
