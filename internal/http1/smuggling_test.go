package http1

import (
	"fmt"
	"strings"
	"testing"
)

// Heads by which a proxy and a server were made to differ on where a request ends. Each is refused by its head, whatever follows.
func smuggledHeads() map[string]string {
	const start = "POST / HTTP/1.1\r\nHost: a.example\r\n"
	heads := map[string]string{
		"CL.TE":              start + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n",
		"TE.CL":              start + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
		"CL.0 with chunks":   start + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
		"CL.CL":              start + "Content-Length: 8\r\nContent-Length: 7\r\n\r\n",
		"CL.CL alike":        start + "Content-Length: 8\r\nContent-Length: 8\r\n\r\n",
		"CL.CL other case":   start + "Content-Length: 8\r\ncontent-length: 0\r\n\r\n",
		"TE.TE":              start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
		"TE.TE other case":   start + "Transfer-Encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n",
		"TE in 1.0":          "POST / HTTP/1.0\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n",
		"TE in a later 1.x":  "POST / HTTP/1.9\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n",
		"TE.0 by option":     start + "Transfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n\r\n",
		"CL.0 by option":     start + "Content-Length: 9\r\nConnection: keep-alive, content-length\r\n\r\n",
		"Host by option":     start + "Connection: host\r\n\r\n",
		"trust by option":    start + "Connection: X-Forwarded-For, X-Real-IP\r\n\r\n",
		"second Host":        start + "Host: b.example\r\n\r\n",
		"second Host folded": start + "\tHost: b.example\r\n\r\n",
		"Host with a path":   "GET / HTTP/1.1\r\nHost: a.example/b\r\n\r\n",
		"Host with a user":   "GET / HTTP/1.1\r\nHost: a.example@b.example\r\n\r\n",
		"Host with a list":   "GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n",
		"request in a value": start + "X: 1\n\nGET /admin HTTP/1.1\nHost: b\r\n\r\n",
		"request after CR":   start + "X: 1\r\r\nGET /admin HTTP/1.1\r\nHost: b\r\n\r\n",
		"line in the target": "GET /\rX HTTP/1.1\r\nHost: a\r\n\r\n",
		"second version":     "GET / HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n",
		"HTTP/0.9":           "GET /\r\n\r\n",
		"preface":            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"underscore CL":      start + "Content_Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n",
		"underscore TE":      start + "Content-Length: 6\r\nTransfer_Encoding: chunked\r\n\r\n",
		"value on next line": start + "Transfer-Encoding:\r\n chunked\r\n\r\n",
		"name on two lines":  start + "Transfer-\r\nEncoding: chunked\r\n\r\n",
		"LF head":            "POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\n",
		"LF at its end":      start + "Content-Length: 5\r\n\nGET",
		"CR for CRLF":        "POST / HTTP/1.1\rHost: a\r\rGET / HTTP/1.1\r\n\r\n",
	}
	for _, v := range []string{ // ways to write the coding so that one of two does not see it, each beside a length
		" chunked", "chunked", "\tchunked", "chunked\t", "  chunked  ", "CHUNKED", "cHuNkEd",
	} {
		heads[fmt.Sprintf("length and coding %q", v)] = start + "Content-Length: 4\r\nTransfer-Encoding:" + v + "\r\n\r\n"
	}
	for _, v := range []string{ // and alone
		" xchunked", " x chunked", " chunkedx", " chunked x", " chunked, identity", " identity, chunked", " chunked,chunked", " chunked,", " ,chunked", " , chunked", " chunked;",
		" chunked;q=1", " \"chunked\"", " 'chunked'", " [chunked]", " chunk", " chunked\\", " \\chunked", " chunked\x00", "\x00chunked", " \x0bchunked", " \x0cchunked",
		" chunked\x0b", " \x85chunked", " \xa0chunked", " chunked\xa0", " chunked\xff", " \x7fchunked", "\x01chunked", " \rchunked", " chunked\r", " chunked\rX: 1", "\nchunked",
		" chunked\nX: 1", " c\u0068unked\u200b", " \ufeffchunked", " ch\u00fcnked", " chun\u212aed", " gzip", " deflate, chunked", " identity", " cow", " null", "", " ",
	} {
		heads[fmt.Sprintf("coding %q", v)] = start + "Transfer-Encoding:" + v + "\r\n\r\n"
	}
	for _, n := range []string{ // ways to write the name
		"Transfer-Encoding ", "Transfer-Encoding\t", " Transfer-Encoding", "\tTransfer-Encoding", "Transfer Encoding", "Transfer-Encoding\x00", "\x00Transfer-Encoding",
		"Transfer-Encoding\x0b", "Transfer-Encoding\r", "\rTransfer-Encoding", "\nTransfer-Encoding", "X: X\nTransfer-Encoding", "X: X\rTransfer-Encoding", "Transfer-Encoding\xff",
		"\xffTransfer-Encoding", "\u2010Transfer-Encoding", "Transfer\u2010Encoding", "Transfer-Encod\u0131ng", "Tran\u017ffer-Encoding", "\"Transfer-Encoding\"", "(Transfer-Encoding)",
		"Transfer-Encoding\x1f", "Transfer-Encoding\x7f", "Content-Length\r\nTransfer-Encoding", "Foo\r\n\tTransfer-Encoding", "Transfer\\-Encoding", "{Transfer-Encoding}", "Transfer/Encoding",
	} {
		heads[fmt.Sprintf("name %q", n)] = start + n + ": chunked\r\n\r\n"
	}
	for _, v := range []string{ // ways to write a length
		"+5", "-5", "5,", "5,5", "5, 6", "5 6", "5;", "5\t6", "0x5", "05", "0005", "5.0", "5e0", "5_0", "\"5\"", "", "\x005", "5\x00", "5\x0b", "\xb2", "\uff15", "\u0665", "5L", "5a",
		"a", "1000000000000000000", "9223372036854775808", "18446744073709551621", "4294967301000000000", "00000000000000000005", "5\n", "\r5", "5\r", "5\rX: 1",
	} {
		heads[fmt.Sprintf("length %q", v)] = start + "Content-Length: " + v + "\r\n\r\n"
	}
	return heads
}

func TestSmuggling_headsAreRefused(t *testing.T) {
	t.Parallel()
	heads := smuggledHeads()
	for name, raw := range heads {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := readRequest([]byte(raw), Limits{}); status(err) == 0 {
				t.Errorf("%q is accepted: %s", raw, got)
			}
			checkRequestSplits(t, []byte(raw), Limits{})
		})
	}
	// The same faults in what an upstream says.
	for name, raw := range heads {
		_, fields, _ := strings.Cut(raw, "\r\n")
		if !strings.HasPrefix(fields, "Host: a.example\r\n") || strings.Contains(name, "1.0") || strings.Contains(name, "1.x") || strings.Contains(name, "Host") {
			continue
		}
		var r Response
		if n, err := r.Parse([]byte("HTTP/1.1 200 OK\r\n"+fields), Limits{}, false); status(err) != badGateway {
			t.Errorf("an answer with %s is accepted: %q %s", name, fields, r.shown(n))
		}
	}
}

// Bodies by which a proxy and a server were made to differ on where a chunk or the body ends.
func smuggledBodies() map[string]string {
	return map[string]string{
		"LF ends the size":               "5\nhello\r\n0\r\n\r\n",
		"CR ends the size":               "5\rhello\r\n0\r\n\r\n",
		"LF ends the data":               "5\r\nhello\n0\r\n\r\n",
		"CR ends the data":               "5\r\nhello\r0\r\n\r\n",
		"two other bytes end the data":   "5\r\nhelloXX0\r\n\r\n",
		"nothing ends the data":          "5\r\nhello0\r\n\r\n",
		"more data":                      "4\r\nhello\r\n0\r\n\r\n",
		"LF in an extension":             "5;\nx\r\nhello\r\n0\r\n\r\n",
		"LF in an extension's value":     "2;a=b\nxx\r\n4c\r\n0\r\n\r\n",
		"CR in an extension":             "5;a\rb\r\nhello\r\n0\r\n\r\n",
		"LF in a quoted value":           "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n",
		"CRLF in a quoted value":         "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
		"quote that stays open":          "5;a=\"b\r\nhello\r\n0\r\n\r\n",
		"empty extension":                "5;\r\nhello\r\n0\r\n\r\n",
		"NUL in an extension":            "5;a\x00\r\nhello\r\n0\r\n\r\n",
		"space after the size":           "5 \r\nhello\r\n0\r\n\r\n",
		"space before the size":          " 5\r\nhello\r\n0\r\n\r\n",
		"tab after the size":             "5\t\r\nhello\r\n0\r\n\r\n",
		"NUL after the size":             "5\x00\r\nhello\r\n0\r\n\r\n",
		"sign":                           "+5\r\nhello\r\n0\r\n\r\n",
		"negative":                       "-1\r\nhello\r\n0\r\n\r\n",
		"0x":                             "0x5\r\nhello\r\n0\r\n\r\n",
		"underscore":                     "0_5\r\nhello\r\n0\r\n\r\n",
		"size over 64 bits":              "10000000000000005\r\nhello\r\n0\r\n\r\n",
		"size of 64 bits":                "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
		"size of 32 bits and zeros":      "0000000100000005\r\nhello\r\n0\r\n\r\n",
		"no size":                        "\r\nhello\r\n0\r\n\r\n",
		"junk after the size":            "5x\r\nhello\r\n0\r\n\r\n",
		"comma":                          "5,5\r\nhello\r\n0\r\n\r\n",
		"last chunk ends in LF":          "5\r\nhello\r\n0\n\n",
		"empty line ends in LF":          "5\r\nhello\r\n0\r\n\n",
		"request in the place of fields": "0\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
		"folded trailer":                 "0\r\nX: 1\r\n 2\r\n\r\n",
		"trailer with a space":           "0\r\nX : 1\r\n\r\n",
		"trailer with LF":                "0\r\nX: 1\nY: 2\r\n\r\n",
		"trailer with CR":                "0\r\nX: 1\rY: 2\r\n\r\n",
		"trailer without a colon":        "0\r\nX\r\n\r\n",
		"trailer with NUL":               "0\r\nX: \x00\r\n\r\n",
		"other digits":                   "\uff15\r\nhello\r\n0\r\n\r\n",
	}
}

func TestSmuggling_bodiesAreRefused(t *testing.T) {
	t.Parallel()
	for name, raw := range smuggledBodies() {
		if content, _, _, err := body(Limits{}, []byte(raw)); status(err) == 0 {
			t.Errorf("%s: %q is accepted with %q", name, raw, content)
		}
		checkBodySplits(t, []byte(raw), Limits{})
	}
}
