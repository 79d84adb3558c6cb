package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"
)

// The fuzz tests hold that what is accepted here means the same to net/http, that it does not matter where a message is cut, and that what
// is written is read back as it was.

func FuzzRequest(f *testing.F) {
	for _, fields := range []string{
		"", "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\nTrailer: X\r\n", "Connection: close, x\r\nX: 1\r\n", "Connection: keep-alive\r\nKeep-Alive: 1\r\n",
		"Connection: upgrade\r\nUpgrade: websocket\r\n", "Expect: 100-continue\r\nContent-Length: 1\r\n", "Pragma: no-cache\r\nCookie: a=b\r\nX_Y: \xff\r\n",
	} {
		f.Add([]byte(known + fields + "\r\n0\r\n\r\n"))
		f.Add([]byte("\r\nPOST /a%20b?c HTTP/1.0\r\n" + fields + "\r\nabc"))
		f.Add([]byte("OPTIONS * HTTP/1.1\r\nHost: [::1]:1\r\n" + fields + "\r\nabc"))
		f.Add([]byte("PUT http://a.example:1?x HTTP/1.1\r\nHost: b\r\n" + fields + "\r\n3\r\nabc\r\n0\r\nX: 1\r\n\r\n"))
		f.Add([]byte("CONNECT a.example:1 HTTP/1.1\r\nHost: b\r\n" + fields + "\r\n"))
	}
	for _, raw := range smuggledHeads() {
		f.Add([]byte(raw))
	}
	f.Fuzz(holdRequest)
}

func holdRequest(t *testing.T, raw []byte) {
	t.Helper()
	limits := Limits{Head: 4000, Line: 2000, Fields: 30}
	if len(raw) < 400 {
		checkRequestSplits(t, raw, limits)
	}
	var r Request
	n, err := r.Parse(raw, limits)
	if n == 0 || err != nil {
		return
	}
	std, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\r\n")))))
	if err != nil {
		t.Fatalf("net/http refuses it: %v", err)
	}
	if std.Method != string(r.Method) || std.RequestURI != string(r.Target) || std.Host != string(r.Host) || std.ProtoMinor != r.Minor {
		t.Fatalf("net/http reads %q %q of %q, 1.%d: %s", std.Method, std.RequestURI, std.Host, std.ProtoMinor, r.shown(n))
	}
	if r.Refuse == 0 {
		if p := string(r.Path); std.URL.EscapedPath() != p && std.URL.Path != p && (std.URL.EscapedPath() != "" || p != "/" && p != "*") {
			// EscapedPath writes a path anew that was not escaped as it would do it.
			if std.URL.RawPath != "" || !strings.ContainsAny(p, "%\"<>[]^`{|}") {
				t.Fatalf("net/http reads the path %q: %s", std.URL.EscapedPath(), r.shown(n))
			}
		}
		if std.URL.RawQuery != string(r.Query) || r.HasQuery != (std.URL.ForceQuery || std.URL.RawQuery != "") {
			t.Fatalf("net/http reads the query %q: %s", std.URL.RawQuery, r.shown(n))
		}
	}
	checkFields(t, &r.Fields, std.Header)
	checkFraming(t, r.Framing, std.ContentLength, std.TransferEncoding, 0)
	if r.Refuse == 0 && std.Close != r.Close {
		t.Fatalf("net/http closes: %v: %s", std.Close, r.shown(n))
	}
	framing := r.Framing
	if framing.Length < 0 {
		framing.Length = 0
	}
	checkContent(t, raw[n:], framing, std.Body)
	if r.Refuse != 0 {
		return
	}
	if len(r.Host) == 0 {
		r.Host = []byte("a")
	}
	written := AppendEnd(r.Append(nil, r.Framing, nil))
	var again Request
	k, err := again.Parse(written, Limits{Head: 8000})
	if k != len(written) || err != nil {
		t.Fatalf("%q is written as %q and refused: %v", raw, written, err)
	}
	if !bytes.Equal(again.Method, r.Method) || !bytes.Equal(again.Path, r.Path) || !bytes.Equal(again.Query, r.Query) || again.HasQuery != r.HasQuery ||
		!bytes.Equal(again.Host, r.Host) || again.Framing != r.Framing {
		t.Fatalf("%s\nis written as\n%s", r.shown(n), again.shown(k))
	}
	checkForwarded(t, &r.Fields, &again.Fields)
}

func FuzzResponse(f *testing.F) {
	for _, fields := range []string{
		"", "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "Connection: close, x\r\nX: 1\r\n", "Connection: keep-alive\r\n", "Connection: upgrade\r\nUpgrade: a/1\r\n",
	} {
		f.Add([]byte("HTTP/1.1 200 OK\r\n"+fields+"\r\nabc"), false)
		f.Add([]byte("HTTP/1.1 200\r\n"+fields+"\r\n3\r\nabc\r\n0\r\nX: 1\r\n\r\n"), false)
		f.Add([]byte("HTTP/1.0 404 Not Found\r\n"+fields+"\r\n"), true)
		f.Add([]byte("HTTP/1.1 304 \r\n"+fields+"\r\n"), false)
		f.Add([]byte("HTTP/1.1 204 \r\n"+fields+"\r\n"), false)
		f.Add([]byte("HTTP/1.1 101 \r\n"+fields+"\r\n"), false)
	}
	f.Fuzz(holdResponse)
}

func holdResponse(t *testing.T, raw []byte, toHEAD bool) {
	t.Helper()
	limits := Limits{Head: 4000, Line: 2000, Fields: 30}
	if len(raw) < 400 {
		checkResponseSplits(t, raw, limits, toHEAD)
	}
	var r Response
	n, err := r.Parse(raw, limits, toHEAD)
	if n == 0 || err != nil {
		return
	}
	method := http.MethodGet
	if toHEAD {
		method = http.MethodHead
	}
	std, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("net/http refuses it: %v", err)
	}
	if _, reason, _ := strings.Cut(std.Status, " "); std.StatusCode != r.Status || strings.TrimLeft(string(r.Reason), " ") != strings.TrimLeft(reason, " ") || std.ProtoMinor != r.Minor {
		t.Fatalf("net/http reads %q 1.%d: %s", std.Status, std.ProtoMinor, r.shown(n))
	}
	checkFields(t, &r.Fields, std.Header)
	if !r.NoBody {
		checkFraming(t, r.Framing, std.ContentLength, std.TransferEncoding, -1)
		if std.Close != r.Close {
			t.Fatalf("net/http closes: %v: %s", std.Close, r.shown(n))
		}
	}
	if r.Status != switchingProtocols { // net/http makes the connection its body
		framing := r.Framing
		if r.NoBody {
			framing = Framing{}
		}
		checkContent(t, raw[n:], framing, std.Body)
	}
	written := AppendEnd(r.Append(nil, r.Framing, nil))
	if r.Upgrade != nil {
		written = AppendEnd(AppendUpgrade(r.Append(nil, r.Framing, nil), r.Upgrade))
	}
	var again Response
	k, err := again.Parse(written, Limits{Head: 8000}, toHEAD)
	if k != len(written) || err != nil {
		t.Fatalf("%q is written as %q and refused: %v", raw, written, err)
	}
	if again.Status != r.Status || !bytes.Equal(again.Reason, r.Reason) || again.NoBody != r.NoBody || again.ToEOF != r.ToEOF || !bytes.Equal(again.Upgrade, r.Upgrade) ||
		again.Length != r.Length || again.Chunked != (r.Chunked && !r.NoBody) {
		t.Fatalf("%s\nis written as\n%s", r.shown(n), again.shown(k))
	}
	checkForwarded(t, &r.Fields, &again.Fields)
}

func FuzzChunks(f *testing.F) {
	for _, raw := range []string{
		"0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\nrest", "3;a=b;c=\"d\\\"\"\r\nabc\r\n00\r\nX: 1\r\nHost: a\r\n\r\n", "A\r\n0123456789\r\n", "1\r\n\n\r\n1\r\n\r\r\n0\r\n\r\n", "f;a;b\r\n", "0;a\r\n\r\n",
	} {
		f.Add([]byte(raw))
	}
	for _, raw := range smuggledBodies() {
		f.Add([]byte(raw))
	}
	f.Fuzz(holdChunks)
}

// pieces are what the messages of FuzzPieces are made of: whole lines, and what could make one parser cut them otherwise than another.
var pieces = strings.Split("GET |POST |HEAD |CONNECT |OPTIONS |/ |/a?b |* |http://b |http://b/c%20d?e |a:1 |/%4|HTTP/1.1\r\n|HTTP/1.0\r\n|HTTP/1.1 200 OK\r\n|"+
	"HTTP/1.0 200 OK\r\n|HTTP/1.1 204 \r\n|HTTP/1.1 304\r\n|HTTP/1.1 101 x\r\n|HTTP/1.1 103 x\r\n|Host: a\r\n|Host: [::1]:2\r\n|Host|Content-Length: 3\r\n|Content-Length: |"+
	"Transfer-Encoding: chunked\r\n|Transfer-Encoding: |chunked|Connection: close\r\n|Connection: keep-alive\r\n|Connection: upgrade\r\n|Connection: |close|x|X: 1\r\n|"+
	"Upgrade: websocket\r\n|Expect: 100-continue\r\n|Trailer: X\r\n|Trailer: |TE: trailers\r\n|Keep-Alive: 1\r\n|Pragma: no-cache\r\n|Cookie: a=b\r\n|\r\n|\r\n\r\n|\r|\n| |\t|,|:|;|"+
	"\x00|\x0b|\x7f|\xff|_|-|0|1|3|5|+|\"|=|3\r\nabc\r\n|0\r\n\r\n|0\r\n|1;a=b\r\nx\r\n|1;a=\"", "|")

// FuzzPieces puts messages together of pieces, which random bytes would seldom do.
func FuzzPieces(f *testing.F) {
	for _, message := range [][]string{
		{"GET ", "/a?b ", "HTTP/1.1\r\n", "Host: a\r\n", "Connection: ", "x", ",", "close", "\r\n", "X: 1\r\n", "\r\n"},
		{"POST ", "http://b ", "HTTP/1.1\r\n", "Host: a\r\n", "Transfer-Encoding: chunked\r\n", "\r\n", "3\r\nabc\r\n", "0\r\n", "X: 1\r\n", "\r\n"},
		{"HTTP/1.1 200 OK\r\n", "Content-Length: 3\r\n", "Keep-Alive: 1\r\n", "\r\n", "x", "x", "x"},
		{"HTTP/1.1 101 x\r\n", "Connection: upgrade\r\n", "Upgrade: websocket\r\n", "\r\n"},
	} {
		var at []byte
		for _, p := range message {
			at = append(at, byte(slices.Index(pieces, p)))
		}
		f.Add(at)
	}
	f.Fuzz(func(t *testing.T, at []byte) {
		var raw []byte
		for _, i := range at[:min(len(at), 40)] {
			raw = append(raw, pieces[int(i)%len(pieces)]...)
		}
		holdRequest(t, raw)
		holdResponse(t, raw, len(at)%2 == 0)
		holdChunks(t, raw)
	})
}

func holdChunks(t *testing.T, raw []byte) {
	t.Helper()
	limits := Limits{Fields: 30}
	if len(raw) < 1000 {
		checkBodySplits(t, raw, limits)
	}
	content, trailers, used, err := body(limits, raw)
	head := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	rest := bufio.NewReader(io.MultiReader(strings.NewReader(head), bytes.NewReader(raw)))
	std, stdErr := http.ReadResponse(rest, nil)
	if stdErr != nil {
		t.Fatal(stdErr)
	}
	got, stdErr := io.ReadAll(std.Body)
	if err != nil {
		return
	}
	if stdErr != nil || !bytes.Equal(got, content) {
		t.Fatalf("%q: %q %v, net/http reads %q %v", raw, content, err, got, stdErr)
	}
	if left, err := io.ReadAll(rest); err != nil || !bytes.Equal(left, raw[used:]) {
		t.Fatalf("%q: net/http leaves %q, here %q are left (%v)", raw, left, raw[used:], err)
	}
	for line := range strings.Lines(trailers) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if !slices.Contains(std.Trailer.Values(name), value) {
			t.Fatalf("%q: net/http has no trailer %q", raw, line)
		}
	}
	var c Chunks
	for b := raw; !c.Done(); {
		_, n, err := c.Feed(b, limits)
		if err != nil {
			t.Fatal(err)
		}
		b = b[n:]
	}
	again := AppendLastChunk(AppendChunk(nil, content), &c.Trailers)
	if twice, t2, n, err := body(limits, again); err != nil || n != len(again) || !bytes.Equal(twice, content) || t2 != trailers {
		t.Fatalf("%q is written as %q and read as %q %q %v", raw, again, twice, t2, err)
	}
}

// checkFields fails if net/http has other fields, or the same in another order of one name, but for those that it takes out.
func checkFields(t *testing.T, f *Fields, std http.Header) {
	t.Helper()
	got := http.Header{}
	for i := range f.Len() {
		name, value := f.At(i)
		if k := f.list[i].kind; k == host || k == connection || k == transferEncoding || k == trailer {
			continue
		}
		key := textproto.CanonicalMIMEHeaderKey(string(name))
		got[key] = append(got[key], string(value))
	}
	std = std.Clone()
	for _, name := range []string{"Host", "Connection", "Transfer-Encoding", "Trailer"} {
		std.Del(name)
	}
	if _, ok := got["Cache-Control"]; !ok && len(got["Pragma"]) > 0 && got["Pragma"][0] == "no-cache" {
		std.Del("Cache-Control") // net/http adds it
	}
	if len(got) != len(std) {
		t.Fatalf("fields %q, net/http reads %q", got, std)
	}
	for name, values := range got {
		if strings.Join(values, "\n") != strings.Join(std[name], "\n") {
			t.Fatalf("%s is %q, net/http reads %q", name, values, std[name])
		}
	}
}

// checkFraming compares with net/http, which has without for no framing at all.
func checkFraming(t *testing.T, f Framing, length int64, codings []string, without int64) {
	t.Helper()
	want := f.Length
	if want < 0 {
		want = without
	}
	if f.Chunked {
		want = -1
	}
	if length != want || f.Chunked != (len(codings) == 1 && codings[0] == "chunked") {
		t.Fatalf("framing is %+v, net/http reads %d %q", f, length, codings)
	}
}

// checkContent compares the content that follows a head.
func checkContent(t *testing.T, rest []byte, f Framing, std io.Reader) {
	t.Helper()
	got, stdErr := io.ReadAll(std)
	if f.Chunked {
		content, _, _, err := body(Limits{}, rest)
		if err == nil && (stdErr != nil || !bytes.Equal(content, got)) {
			t.Fatalf("content %q, net/http reads %q %v", content, got, stdErr)
		}
		return
	}
	want := rest
	if f.Length >= 0 {
		want = rest[:min(int64(len(rest)), f.Length)]
	}
	if stdErr != nil && !errors.Is(stdErr, io.ErrUnexpectedEOF) || !bytes.Equal(want, got) {
		t.Fatalf("content %q, net/http reads %q %v", want, got, stdErr)
	}
}

// checkForwarded fails unless the fields of what was written are those that were to be forwarded, in their order.
func checkForwarded(t *testing.T, from, to *Fields) {
	t.Helper()
	var want, got strings.Builder
	for i := range from.Len() {
		if name, value := from.At(i); !from.Hop(i) && from.list[i].kind != trailer {
			want.WriteString(string(name) + ": " + string(value) + "\n")
		}
	}
	for i := range to.Len() {
		if name, value := to.At(i); !to.Hop(i) && to.list[i].kind != trailer {
			got.WriteString(string(name) + ": " + string(value) + "\n")
		}
	}
	if got.String() != want.String() {
		t.Fatalf("fields %q are written as %q", want.String(), got.String())
	}
}
