package http1

import (
	"fmt"
	"strings"
	"testing"
)

func TestRequest_isRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ raw, want string }{
		"simple": {
			"GET /a%20b?c=%zz&d HTTP/1.1\r\nHost: a.example:8080\r\nAccept:\t*/* \r\nX-Empty:\r\n\r\nGET",
			`"GET" "/a%20b?c=%zz&d" path="/a%20b" query="c=%zz&d",true abs=false host="a.example:8080" 1.1 length=-1 chunked=false close=false expect=false upgrade="" refuse=0
"Host": "a.example:8080" hop=true
"Accept": "*/*" hop=false
"X-Empty": "" hop=false`,
		},
		"one empty line before": {
			"\r\nPOST /? HTTP/1.1\r\nhost: [::1]:80\r\nContent-Length: 0\r\n\r\n",
			`"POST" "/?" path="/" query="",true abs=false host="[::1]:80" 1.1 length=0 chunked=false close=false expect=false upgrade="" refuse=0
"host": "[::1]:80" hop=true
"Content-Length": "0" hop=true`,
		},
		"absolute, with another Host": {
			"GET HTTP://b.example?q HTTP/1.1\r\nHost: a.example\r\n\r\n",
			`"GET" "HTTP://b.example?q" path="/" query="q",true abs=true host="b.example" 1.1 length=-1 chunked=false close=false expect=false upgrade="" refuse=0
"Host": "a.example" hop=true`,
		},
		"absolute OPTIONS without a path": {
			"OPTIONS https://b.example:1 HTTP/1.1\r\nHost: b.example:1\r\n\r\n",
			`"OPTIONS" "https://b.example:1" path="*" query="",false abs=true host="b.example:1" 1.1 length=-1 chunked=false close=false expect=false upgrade="" refuse=0
"Host": "b.example:1" hop=true`,
		},
		"asterisk": {
			"OPTIONS * HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n",
			`"OPTIONS" "*" path="*" query="",false abs=false host="a.example" 1.1 length=-1 chunked=false close=true expect=false upgrade="" refuse=0
"Host": "a.example" hop=true
"Connection": "close" hop=true`,
		},
		"CONNECT": {
			"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
			`"CONNECT" "a.example:443" path="" query="",false abs=false host="a.example:443" 1.1 length=-1 chunked=false close=true expect=false upgrade="" refuse=405
"Host": "a.example:443" hop=true`,
		},
		"HTTP/1.0 without Host": {
			"GET / HTTP/1.0\r\n\r\n",
			`"GET" "/" path="/" query="",false abs=false host="" 1.0 length=-1 chunked=false close=true expect=false upgrade="" refuse=0`,
		},
		"HTTP/1.0 that stays": {
			"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\nKeep-Alive: 3\r\n\r\n",
			`"GET" "/" path="/" query="",false abs=false host="" 1.0 length=-1 chunked=false close=false expect=false upgrade="" refuse=0
"Connection": "Keep-Alive" hop=true
"Keep-Alive": "3" hop=true`,
		},
		"chunks, expectation and named fields": {
			"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nExpect: 100-Continue\r\nX-One: 1\r\nConnection: x-one , ,TE\r\nTE: trailers\r\nTrailer: X-Sum\r\n\r\n",
			`"POST" "/" path="/" query="",false abs=false host="a" 1.1 length=-1 chunked=true close=false expect=true upgrade="" refuse=0
"Host": "a" hop=true
"Transfer-Encoding": "Chunked" hop=true
"Expect": "100-Continue" hop=true
"X-One": "1" hop=true
"Connection": "x-one , ,TE" hop=true
"TE": "trailers" hop=true
"Trailer": "X-Sum" hop=false
option "x-one"
option "TE"`,
		},
		"upgrade": {
			"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
			`"GET" "/" path="/" query="",false abs=false host="a" 1.1 length=-1 chunked=false close=false expect=false upgrade="websocket" refuse=0
"Host": "a" hop=true
"Connection": "keep-alive, Upgrade" hop=true
"Upgrade": "websocket" hop=true`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := readRequest([]byte(c.raw), Limits{})
			want := fmt.Sprintf("n=%d %s", strings.LastIndex(c.raw, "\r\n\r\n")+4, c.want)
			if err != nil || got != want {
				t.Errorf("%v\n%s\nwant\n%s", err, got, want)
			}
			checkRequestSplits(t, []byte(c.raw), Limits{})
		})
	}
}

// An Upgrade is shown only when a tunnel of one protocol may follow.
func TestRequest_upgradesOnlyToOneProtocolWithoutABody(t *testing.T) {
	t.Parallel()
	for _, fields := range []string{
		"Upgrade: websocket\r\n", // Connection does not say so
		"Connection: upgrade\r\n",
		"Connection: upgrade\r\nUpgrade: websocket, h2c\r\n",
		"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n",
		"Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n",
	} {
		var r Request
		n, err := r.Parse([]byte(known+fields+"\r\n"), Limits{})
		if n == 0 || err != nil || r.Upgrade != nil {
			t.Errorf("%q: %d %v upgrade %q", fields, n, err, r.Upgrade)
		}
	}
	var r Request
	if n, err := r.Parse([]byte("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), Limits{}); n == 0 || err != nil || r.Upgrade != nil {
		t.Errorf("HTTP/1.0: %d %v upgrade %q", n, err, r.Upgrade)
	}
	if n, err := r.Parse([]byte(known+"Expect: 100-continue\r\n\r\n"), Limits{}); n == 0 || err != nil || r.Expect100 {
		t.Errorf("without a body nobody waits for 100: %d %v %v", n, err, r.Expect100)
	}
}

// Each line is a request with one fault, and what it is refused with.
func TestRequest_isRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		raw    string
	}{
		// request line
		{400, "\x16\x03\x01"}, // TLS to a plain port is told at its first byte
		{400, "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},
		{400, "GET / HTTP/1.1 x\r\nHost: a\r\n\r\n"},
		{400, "GET /\r\nHost: a\r\n\r\n"},
		{400, "GET / \r\nHost: a\r\n\r\n"},
		{400, "GET\r\n\r\n"},
		{400, "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "head / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "Connect a:1 HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET / http/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET / HTTP/1.1\n\r\nHost: a\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"},
		{400, "GET / HTTP/01.1\r\nHost: a\r\n\r\n"},
		{400, "GET / HTTP/1.10\r\nHost: a\r\n\r\n"},
		{400, "GET / HTTP/+1.1\r\nHost: a\r\n\r\n"},
		{400, "GET / HTTP\\1.1\r\nHost: a\r\n\r\n"},
		{505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"},
		{505, "GET / HTTP/0.9\r\nHost: a\r\n\r\n"},
		{505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
		{501, strings.Repeat("M", 33) + " / HTTP/1.1\r\nHost: a\r\n\r\n"},
		// target
		{400, "GET a HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET /% HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET /%a HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET http://a:x/ HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET http://a/\\ HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "CONNECT http://a:1 HTTP/1.1\r\nHost: a\r\n\r\n"},
		// fields
		{400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
		{400, known + " folded: 1\r\n\r\n"},
		{400, known + "A: 1\r\n 2\r\n\r\n"},
		{400, known + "A: 1\r\n\t2\r\n\r\n"},
		{400, known + "A : 1\r\n\r\n"},
		{400, known + "A\t: 1\r\n\r\n"},
		{400, known + "A\r\n\r\n"},
		{400, known + ": 1\r\n\r\n"},
		{400, known + "A B: 1\r\n\r\n"},
		{400, known + "A\x00: 1\r\n\r\n"},
		{400, known + "\xc3\xa4: 1\r\n\r\n"},
		{400, known + "A(: 1\r\n\r\n"},
		{400, known + "A: 1\x00\r\n\r\n"},
		{400, known + "A: 1\x01\r\n\r\n"},
		{400, known + "A: 1\x0b\r\n\r\n"},
		{400, known + "A: 1\x7f\r\n\r\n"},
		{400, known + "A: 12345678\x7f12345678\r\n\r\n"},
		{400, known + "A: 1\r2\r\n\r\n"},
		{400, known + "A: 1\r\r\n\r\n"},
		{400, known + "A: 1\n\r\n"},
		{400, known + "A: 1\nB: 2\r\n\r\n"},
		{400, known + "A: 1\r\n\n"},
		{400, known + "\n"},
		{400, known + "\r\r\n"},
		// Host
		{400, "GET / HTTP/1.1\r\n\r\n"},
		{400, "GET http://a/ HTTP/1.1\r\n\r\n"},
		{400, known + "Host: a.example\r\n\r\n"},
		{400, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"},
		{400, "GET http://a/ HTTP/1.1\r\nHost: /\r\n\r\n"},
		{400, "CONNECT a:1 HTTP/1.1\r\nHost: a, b\r\n\r\n"},
		// length and coding
		{400, known + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"},
		{400, known + "Content-Length: 1, 1\r\n\r\n"},
		{400, known + "Content-Length: +1\r\n\r\n"},
		{400, known + "Content-Length: -1\r\n\r\n"},
		{400, known + "Content-Length: 0x1\r\n\r\n"},
		{400, known + "Content-Length: 1 1\r\n\r\n"},
		{400, known + "Content-Length: 01\r\n\r\n"},
		{400, known + "Content-Length: \r\n\r\n"},
		{400, known + "Content-Length: 1000000000000000000\r\n\r\n"},
		{400, known + "Content-Length: 18446744073709551617\r\n\r\n"},
		{400, known + "Content_Length: 1\r\n\r\n"},
		{400, known + "Transfer_Encoding: chunked\r\n\r\n"},
		{400, known + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{400, known + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"},
		{400, known + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{501, known + "Transfer-Encoding: chunked, chunked\r\n\r\n"},
		{501, known + "Transfer-Encoding: gzip, chunked\r\n\r\n"},
		{501, known + "Transfer-Encoding: identity\r\n\r\n"},
		{501, known + "Transfer-Encoding:\r\n\r\n"},
		{400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{400, known + "Transfer-Encoding: chunked\r\nTrailer: content-length\r\n\r\n"},
		{417, known + "Expect: 200-ok\r\n\r\n"},
		{417, known + "Expect:\r\n\r\n"},
		{417, known + "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n"},
		// Connection
		{400, known + "Connection: Host\r\n\r\n"},
		{400, known + "Connection: close, Content-Length\r\n\r\n"},
		{400, known + "Connection: transfer-encoding\r\n\r\n"},
		{400, known + "Connection: X-Forwarded-For\r\n\r\n"},
		{400, known + "Connection: x-forwarded-proto\r\n\r\n"},
		{400, known + "Connection: x_forwarded_host\r\n\r\n"},
		{400, known + "Connection: Forwarded\r\n\r\n"},
		{400, known + "Connection: via\r\n\r\n"},
		{400, known + "Connection: x-real-ip\r\n\r\n"},
		{400, known + "Connection: Authorization\r\n\r\n"},
		{400, known + "Connection: cookie\r\n\r\n"},
		{400, known + "Connection: close x\r\n\r\n"},
		{400, known + "Connection: close;x\r\n\r\n"},
		{400, known + "Connection: " + strings.Repeat("a,", 33) + "\r\n\r\n"},
		{400, known + "Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n\r\n"},
	} {
		_, err := readRequest([]byte(c.raw), Limits{})
		if status(err) != c.status {
			t.Errorf("%q: %v, want %d", c.raw, err, c.status)
		}
		checkRequestSplits(t, []byte(c.raw), Limits{})
	}
}

func TestRequest_keepsItsLimits(t *testing.T) {
	t.Parallel()
	limits := Limits{Head: 60, Line: 30, Fields: 3}
	for _, c := range []struct {
		status int
		raw    string
	}{
		{0, "GET /" + strings.Repeat("a", 30-5-11) + " HTTP/1.1\r\nHost: a\r\n\r\n"},
		{414, "GET /" + strings.Repeat("a", 30-5-10) + " HTTP/1.1\r\nHost: a\r\n\r\n"},
		{414, "GET /" + strings.Repeat("a", 30)},
		{0, "GET / HTTP/1.1\r\nHost: a\r\nB: " + strings.Repeat("b", 60-16-9-3-4) + "\r\n\r\n"},
		{431, "GET / HTTP/1.1\r\nHost: a\r\nB: " + strings.Repeat("b", 60-16-9-3-3) + "\r\n\r\n"},
		{431, "GET / HTTP/1.1\r\nHost: a\r\nB: " + strings.Repeat("b", 60)},
		{0, "GET / HTTP/1.1\r\nHost: a\r\nB: 1\r\nC: 1\r\n\r\n"},
		{431, "GET / HTTP/1.1\r\nHost: a\r\nB: 1\r\nC: 1\r\nD: 1\r\n\r\n"},
	} {
		_, err := readRequest([]byte(c.raw), limits)
		if status(err) != c.status {
			t.Errorf("%q: %v, want %d", c.raw, err, c.status)
		}
		checkRequestSplits(t, []byte(c.raw), limits)
	}
}

// A head that comes byte by byte costs no more than one that comes at once: no byte is searched again.
func TestRequest_goesOnWhereItEnded(t *testing.T) {
	t.Parallel()
	raw := []byte(known + "A: " + strings.Repeat("a", 1000) + "\r\nB: " + strings.Repeat("b", 1000))
	var r Request
	for i := range raw {
		if n, err := r.Parse(raw[:i], Limits{}); n != 0 || err != nil {
			t.Fatal(n, err)
		}
		if r.seen != i || r.pos > i {
			t.Fatalf("of %d bytes %d were searched", i, r.seen)
		}
	}
	if r.Len() != 2 {
		t.Errorf("%d fields were read, of 2 whole ones", r.Len())
	}
}

// A Request that has read one head reads the next as if it were new.
func TestRequest_servesAConnectionForItsWholeLife(t *testing.T) {
	t.Parallel()
	first := "POST http://b/x?y HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: close, x\r\nX: 1\r\n\r\n"
	second := "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	refused := "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"
	want, err := readRequest([]byte(second), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var r Request
	for _, before := range []string{first, refused, second} {
		n, err := r.Parse([]byte(before), Limits{})
		if (n == 0) != (err != nil) {
			t.Fatal(n, err)
		}
		if n, err = r.Parse([]byte(second), Limits{}); err != nil || r.shown(n) != want {
			t.Errorf("after %q: %v %s", before, err, r.shown(n))
		}
	}
}

func TestFields_areFoundByName(t *testing.T) {
	t.Parallel()
	var r Request
	if _, err := r.Parse([]byte(known+"X_A: 0\r\nX-A: 1\r\nx-a: 2\r\n\r\n"), Limits{}); err != nil {
		t.Fatal(err)
	}
	if v, ok := r.Value("x-a"); !ok || string(v) != "1" {
		t.Errorf("%q %v", v, ok)
	}
	if v, ok := r.Value("x-b"); ok {
		t.Errorf("%q", v)
	}
	var names []string
	for name := range r.All() {
		names = append(names, string(name))
	}
	if got := strings.Join(names, " "); got != "Host X_A X-A x-a" {
		t.Error(got)
	}
}

func TestHost_isAHost(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("a", 63)
	for _, h := range []string{
		"a", "a.example", "A.Example.", "a_b-c.example:1", "127.0.0.1:65535", "[::1]", "[::1]:443", "[::ffff:1.2.3.4]:0", "xn--a", label + ".example",
		strings.Repeat("a.", 126) + "a",
	} {
		if !isHost([]byte(h)) {
			t.Errorf("%q is refused", h)
		}
	}
	for _, h := range []string{
		"", ".", ":", ":80", "a:", "a:x", "a:65536", "a:000080", "a:-1", "a:80:80", "a..b", ".a", "a b", "a,b", "a/b", "a@b", "u@a", "a\\b", "a%41", "a?", "a#",
		"a;b", "a\tb", "\xc3\xa4", "[", "[]", "[::1", "::1", "[::1]x", "[::1]:", "[fe80::1%25en0]", "[fe80::1%en0]", "[v1.a]", "[127.0.0.1]", "[::1]]",
		"[" + strings.Repeat(":", 99) + "]", label + "a.example", strings.Repeat("a.", 127) + "a", "a'", "\"a\"", "<a>", "a*", "*.a",
	} {
		if isHost([]byte(h)) {
			t.Errorf("%q is accepted", h)
		}
	}
	for h, want := range map[string][2]string{"a": {"a", ""}, "a:1": {"a", "1"}, "[::1]": {"[::1]", ""}, "[::1]:2": {"[::1]", "2"}, "": {"", ""}} {
		if name, port := SplitHost([]byte(h)); string(name) != want[0] || string(port) != want[1] {
			t.Errorf("%q: %q %q", h, name, port)
		}
	}
}
