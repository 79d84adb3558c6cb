package http1

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// known is a request that every test of one wrong thing begins from.
const known = "GET / HTTP/1.1\r\nHost: a.example\r\n"

// status is what a message is refused with, 0 for none.
func status(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// shown is all that a request shows, as text, and where its head ends.
func (r *Request) shown(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "n=%d %q %q path=%q query=%q,%v abs=%v host=%q 1.%d length=%d chunked=%v close=%v expect=%v upgrade=%q refuse=%d", n, r.Method,
		r.Target, r.Path, r.Query, r.HasQuery, r.Absolute, r.Host, r.Minor, r.Length, r.Chunked, r.Close, r.Expect100, r.Upgrade, r.Refuse)
	r.write(&b)
	return b.String()
}

func (r *Response) shown(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "n=%d %d %q 1.%d length=%d chunked=%v nobody=%v eof=%v close=%v upgrade=%q", n, r.Status, r.Reason, r.Minor, r.Length,
		r.Chunked, r.NoBody, r.ToEOF, r.Close, r.Upgrade)
	r.write(&b)
	return b.String()
}

func (h *head) write(b *strings.Builder) {
	for i := range h.Len() {
		name, value := h.At(i)
		fmt.Fprintf(b, "\n%q: %q hop=%v", name, value, h.Hop(i))
	}
	for o := range h.Options {
		fmt.Fprintf(b, "\noption %q", o)
	}
}

// readRequest parses raw in one piece.
func readRequest(raw []byte, limits Limits) (string, error) {
	var r Request
	n, err := r.Parse(raw, limits)
	if n == 0 || err != nil {
		return "", err
	}
	return r.shown(n), nil
}

// drip parses a message that comes byte by byte, each time in other memory, as when a buffer grows.
func drip(raw []byte, parse func([]byte) (int, error)) (n int, err error) {
	for i := 1; i <= len(raw); i++ {
		if n, err = parse(bytes.Clone(raw[:i])); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, nil
}

// checkRequestSplits fails if any way of cutting raw in two, or into single bytes, changes what is read.
func checkRequestSplits(t *testing.T, raw []byte, limits Limits) {
	t.Helper()
	want, wantErr := readRequest(raw, limits)
	same := func(how string, r *Request, n int, err error) {
		t.Helper()
		got := ""
		if n > 0 {
			got = r.shown(n)
		}
		if got != want || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Fatalf("%q %s:\n%s %v\nin one piece:\n%s %v", raw, how, got, err, want, wantErr)
		}
	}
	var r Request // one for all, as a connection has it
	n, err := drip(raw, func(b []byte) (int, error) { return r.Parse(b, limits) })
	same("byte by byte", &r, n, err)
	for i := range raw {
		r.Reset()
		if n, err = r.Parse(bytes.Clone(raw[:i]), limits); n == 0 && err == nil {
			n, err = r.Parse(raw, limits)
		}
		same(fmt.Sprintf("cut at %d", i), &r, n, err)
	}
}

func checkResponseSplits(t *testing.T, raw []byte, limits Limits, toHEAD bool) {
	t.Helper()
	read := func(r *Response, n int, err error) string {
		if n > 0 {
			return r.shown(n)
		}
		return fmt.Sprint(err)
	}
	var one, r Response
	n, err := one.Parse(raw, limits, toHEAD)
	want := read(&one, n, err)
	n, err = drip(raw, func(b []byte) (int, error) { return r.Parse(b, limits, toHEAD) })
	if got := read(&r, n, err); got != want {
		t.Fatalf("%q byte by byte:\n%s\nin one piece:\n%s", raw, got, want)
	}
	for i := range raw {
		r.Reset()
		if n, err = r.Parse(bytes.Clone(raw[:i]), limits, toHEAD); n == 0 && err == nil {
			n, err = r.Parse(raw, limits, toHEAD)
		}
		if got := read(&r, n, err); got != want {
			t.Fatalf("%q cut at %d:\n%s\nin one piece:\n%s", raw, i, got, want)
		}
	}
}

// body reads a chunked body from pieces: the content, the trailers as text, what was used, and the error.
func body(limits Limits, pieces ...[]byte) (content []byte, trailers string, used int, err error) {
	var c Chunks
	for _, p := range pieces {
		p = bytes.Clone(p)
		for len(p) > 0 && !c.Done() {
			data, n, err := c.Feed(p, limits)
			content = append(content, data...)
			used += n
			if err != nil {
				return content, "", used, err
			}
			if n == 0 {
				return content, "", used, errors.New("Feed used nothing")
			}
			p = p[n:]
		}
	}
	if !c.Done() {
		return content, "", used, errUnfinished
	}
	var b strings.Builder
	for name, value := range c.Trailers.All() {
		fmt.Fprintf(&b, "%s: %s\n", name, value)
	}
	return content, b.String(), used, nil
}

var errUnfinished = errors.New("more is needed")

func checkBodySplits(t *testing.T, raw []byte, limits Limits) {
	t.Helper()
	read := func(pieces ...[]byte) string {
		content, trailers, used, err := body(limits, pieces...)
		if err != nil && !errors.Is(err, errUnfinished) {
			used = 0 // where in the bad line it is noticed may differ
		}
		return fmt.Sprintf("%q %q %d %v", content, trailers, used, err)
	}
	want := read(raw)
	for i := range raw {
		if got := read(raw[:i], raw[i:]); got != want {
			t.Fatalf("%q cut at %d: %s, in one piece: %s", raw, i, got, want)
		}
	}
	var single [][]byte
	for i := range raw {
		single = append(single, raw[i:i+1])
	}
	if got := read(single...); got != want {
		t.Fatalf("%q byte by byte: %s, in one piece: %s", raw, got, want)
	}
}
