package local

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// probeTimeout is how long one health check may take.
const probeTimeout = 3 * time.Second

// mostAnswer bounds the bytes that are read of an answer.
const mostAnswer = 1 << 20

// prober asks instances whether they are well, over a connection a check: a process that
// accepts no new ones is not well. It speaks HTTP by itself, because a transport's
// goroutines cost more than the check does, a hundred times a second.
type prober struct{ dialer net.Dialer }

// check returns nil when the instance at addr is well: path answers 2xx or, without a
// path, it accepts a connection. A redirect says nothing of whether what it leads to
// is well.
func (p prober) check(ctx context.Context, addr, path string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := p.dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if path == "" {
		return nil
	}
	resp, err := fetch(ctx, conn, addr, path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	switch to := resp.Header.Get("Location"); {
	case resp.StatusCode >= 300 && resp.StatusCode < 400 && to != "":
		return fmt.Errorf("status %d to %.200s, name a path that answers itself", resp.StatusCode, to)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// fetch asks for a path over conn. What has not come when ctx ends does not come.
func fetch(ctx context.Context, conn net.Conn, addr, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return nil, err
	}
	req.Close = true
	req.Header.Set("User-Agent", "titrate-health")
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if end, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(end) // for the body too
	}
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	r := bufio.NewReader(io.LimitReader(conn, mostAnswer))
	for {
		resp, err := http.ReadResponse(r, req)
		if err != nil || resp.StatusCode >= http.StatusOK || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

// checked counts the same answers in a row, so that they can be told in a line.
type checked struct {
	what string // "GET :8080/healthz"
	saw  string
	n    int
}

// newChecked counts those of an instance at addr. People are told the port that the
// program knows.
func newChecked(rec instanceRecord, addr string) checked {
	_, port, _ := net.SplitHostPort(addr)
	if rec.Fleet.Image != nil {
		port = strconv.Itoa(imagePort(rec.Fleet))
	}
	if rec.Fleet.Health == "" {
		return checked{what: "connect to :" + port}
	}
	return checked{what: "GET :" + port + rec.Fleet.Health}
}

func (c *checked) add(err error) {
	if saw := shortError(err); saw != c.saw {
		c.saw, c.n = saw, 0
	}
	c.n++
}

// String returns "GET :8080/healthz → connection refused ×14".
func (c *checked) String() string {
	if c.n == 0 {
		return c.what + " → not tried yet"
	}
	if c.n == 1 {
		return c.what + " → " + c.saw
	}
	return fmt.Sprintf("%s → %s ×%d", c.what, c.saw, c.n)
}

// shortError keeps the cause of an error: where it happened is told beside it.
func shortError(err error) string {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("no answer in %s", probeTimeout)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed without an answer"
	}
	text := err.Error()
	return strings.TrimSpace(text[strings.LastIndex(text, ": ")+1:])
}
