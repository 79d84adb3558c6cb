package http1

import (
	"bufio"
	"bytes"
	"net/http"
	"testing"
)

// What a browser sends for a page, and what a small API answers.
const (
	browserGET = "GET /account/orders?page=2&sort=date HTTP/1.1\r\n" +
		"Host: shop.example.com\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n" +
		"Accept-Language: en-US,en;q=0.5\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
		"Connection: keep-alive\r\n" +
		"Cookie: session=2f1b7c9e4d5a68907f3e; theme=dark; cohort=0.4182\r\n" +
		"Upgrade-Insecure-Requests: 1\r\n" +
		"Sec-Fetch-Dest: document\r\n" +
		"Sec-Fetch-Mode: navigate\r\n" +
		"Priority: u=0, i\r\n\r\n"
	smallAnswer = "HTTP/1.1 200 OK\r\nDate: Sat, 28 Nov 2026 12:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 27\r\nCache-Control: no-store\r\n\r\n"
)

func BenchmarkRequest(b *testing.B) {
	raw := []byte(browserGET)
	b.Run("http1", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		var r Request
		for b.Loop() {
			if n, err := r.Parse(raw, Limits{}); n != len(raw) || err != nil {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("http1 and written", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		var r Request
		var out []byte
		for b.Loop() {
			if n, err := r.Parse(raw, Limits{}); n != len(raw) || err != nil {
				b.Fatal(n, err)
			}
			out = AppendEnd(r.Append(out[:0], r.Framing, nil))
		}
	})
	b.Run("net-http", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		from := bytes.NewReader(raw)
		in := bufio.NewReader(from)
		for b.Loop() {
			from.Reset(raw)
			in.Reset(from)
			if _, err := http.ReadRequest(in); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkResponse(b *testing.B) {
	raw := []byte(smallAnswer)
	b.Run("http1", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		var r Response
		for b.Loop() {
			if n, err := r.Parse(raw, Limits{}, false); n != len(raw) || err != nil {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("net-http", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		from := bytes.NewReader(raw)
		in := bufio.NewReader(from)
		for b.Loop() {
			from.Reset(raw)
			in.Reset(from)
			if _, err := http.ReadResponse(in, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkChunks(b *testing.B) {
	raw := AppendLastChunk(AppendChunk(AppendChunk(nil, make([]byte, 4096)), make([]byte, 100)), nil)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	var c Chunks
	for b.Loop() {
		c.Reset()
		for p := raw; !c.Done(); {
			_, n, err := c.Feed(p, Limits{})
			if err != nil {
				b.Fatal(err)
			}
			p = p[n:]
		}
	}
}

// In steady state no message costs memory.
func TestParse_doesNotAllocate(t *testing.T) {
	head, answer := []byte(browserGET), []byte(smallAnswer)
	raw := []byte("5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")
	named := []byte(known + "Connection: x-a, close\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
	var r Request
	var a Response
	var c Chunks
	var out []byte
	omit := func(name, _ []byte) bool { return equal(name, "cookie") }
	once := func() {
		for _, h := range [][]byte{head, named} {
			if n, err := r.Parse(h[:20], Limits{}); n != 0 || err != nil {
				t.Fatal(n, err)
			}
			if n, err := r.Parse(h, Limits{}); n != len(h) || err != nil {
				t.Fatal(n, err)
			}
			out = AppendEnd(AppendField(r.Append(out[:0], r.Framing, omit), "Via", "1.1 titrate"))
		}
		if n, err := a.Parse(answer, Limits{}, false); n != len(answer) || err != nil {
			t.Fatal(n, err)
		}
		out = AppendEnd(a.Append(out[:0], a.Framing, nil))
		c.Reset()
		for p := raw; !c.Done(); {
			data, n, err := c.Feed(p, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			out = AppendChunk(out[:0], data)
			p = p[n:]
		}
		out = AppendLastChunk(out, &c.Trailers)
	}
	if n := testing.AllocsPerRun(100, once); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
