package runtimeapi

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"titrate/internal/http1"
)

// The two requests of each invocation, as clients write them.
var (
	nextPath   = []byte("/2018-06-01/runtime/invocation/next")
	before     = []byte("/2018-06-01/runtime/invocation/")
	responseOf = []byte("/response")
)

// firstRead is how much of a connection is read at a time before a body is known of.
const firstRead = 4 << 10

// conn is a connection of the runtime while it does nothing but ask for events and answer
// them whole. While it waits for an event its goroutine reads on: who has the event sends it.
type conn struct {
	net.Conn
	raw syscall.RawConn // nil: it has none
	env *Environment
	in  []byte // what was read and not used

	req    http1.Request
	chunks http1.Chunks

	writes sync.Mutex // taken with the environment's lock held, never before it
	out    []byte
}

// serve answers the two requests of each invocation. At any other, or one that is not of
// the plainest form, it ends, with what was read from there on; more is false where the
// connection has ended.
func (e *Environment) serve(nc net.Conn) (read []byte, more bool) {
	c := &conn{Conn: nc, env: e, in: make([]byte, 0, firstRead)}
	if own, ok := nc.(syscall.Conn); ok {
		c.raw, _ = own.SyscallConn() // without it, it is written to in a goroutine
	}
	defer e.unpoll(c)
	for {
		n, err := c.req.Parse(c.in, http1.Limits{})
		if err == nil && n == 0 {
			if !c.more() {
				return nil, false
			}
			continue
		}
		c.settle()
		if err != nil {
			return c.in, true
		}
		var ok bool
		switch id := c.answers(); {
		case c.asks():
			c.in = c.in[:copy(c.in, c.in[n:])]
			ok = e.poll(c) || c.refuse(403, "InvalidStateTransition", "the runtime asks for work and has not answered what it had")
		case id != "" && c.req.Length <= MaxPayload:
			kind := c.kind()
			body, whole, more := c.body(n)
			switch {
			case !more:
				return nil, false
			case !whole:
				return c.in, true
			}
			ok = c.respond(id, kind, body)
		default:
			return c.in, true
		}
		if !ok {
			return nil, false
		}
	}
}

// settle returns when what the runtime has asked for before is sent, where it does not wait
// for that to ask for more.
func (c *conn) settle() {
	c.env.await(nil, func() bool { return c.env.waits != c })
	c.writes.Lock()
	c.writes.Unlock() //nolint:staticcheck // whoever had it has sent
}

// more reads more; false: no more comes.
func (c *conn) more() bool {
	if len(c.in) == cap(c.in) {
		c.in = append(make([]byte, 0, 2*cap(c.in)), c.in...)
	}
	n, err := c.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	return n > 0 || err == nil
}

// plain reports whether the head that was read has nothing unusual in it.
func (c *conn) plain() bool {
	r := &c.req
	return r.Minor == 1 && !r.Expect100 && !r.Close && !r.Absolute && !r.HasQuery && r.Upgrade == nil
}

// asks reports whether the runtime asks for an event.
func (c *conn) asks() bool {
	return c.plain() && c.req.Length <= 0 && !c.req.Chunked && string(c.req.Method) == "GET" && bytes.Equal(c.req.Path, nextPath)
}

// answers is the invocation that is answered whole; empty: none is.
func (c *conn) answers() string {
	r := &c.req
	if !c.plain() || r.Length < 0 && !r.Chunked || string(r.Method) != "POST" || !bytes.HasPrefix(r.Path, before) || !bytes.HasSuffix(r.Path, responseOf) || len(r.Path) <= len(before)+len(responseOf) {
		return ""
	}
	if mode, ok := r.Value("lambda-runtime-function-response-mode"); ok && len(mode) > 0 {
		return ""
	}
	if c.kind() == StreamedHTTP {
		return ""
	}
	id := r.Path[len(before) : len(r.Path)-len(responseOf)]
	if bytes.ContainsAny(id, "/%") {
		return ""
	}
	return string(id)
}

// kind is what the body says that it is.
func (c *conn) kind() string {
	kind, _ := c.req.Value("content-type")
	return string(kind)
}

// body reads the body behind a head of n bytes. It is not whole where it is too long, or is
// not framed as it should be: then all is still unread. More is false where the connection
// has ended.
func (c *conn) body(n int) (body []byte, whole, more bool) {
	if c.req.Chunked { // as by AWS's library for Go
		return c.chunked(n)
	}
	c.chunks.Reset()
	body = make([]byte, c.req.Length)
	got := copy(body, c.in[n:])
	c.in = c.in[:copy(c.in, c.in[n+got:])]
	if _, err := io.ReadFull(c.Conn, body[got:]); err != nil {
		return nil, false, false
	}
	return body, true, true
}

// chunked is body of one in chunks.
func (c *conn) chunked(n int) (body []byte, whole, more bool) {
	c.chunks.Reset()
	for at := n; ; {
		if at == len(c.in) {
			if !c.more() {
				return nil, false, false
			}
		}
		data, used, err := c.chunks.Feed(c.in[at:], http1.Limits{})
		if err != nil || len(body)+len(data) > MaxPayload || at+used > 2*MaxPayload {
			return nil, false, true
		}
		body = append(body, data...)
		if at += used; !c.chunks.Done() {
			continue
		}
		c.in = c.in[:copy(c.in, c.in[at:])]
		if cap(c.in) > 64*firstRead && len(c.in) < firstRead {
			c.in = append(make([]byte, 0, firstRead), c.in...)
		}
		return body, true, true
	}
}

// give sends the runtime an event when what it returns is called. Nothing is written to the
// connection meanwhile. The environment's lock is held, and is not when it is called.
func (c *conn) give(call *call) func() {
	c.writes.Lock()
	return func() {
		out := append(c.out[:0], "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"...)
		out = http1.AppendField(out, "Lambda-Runtime-Aws-Request-Id", call.ID)
		out = http1.AppendField(out, "Lambda-Runtime-Deadline-Ms", strconv.FormatInt(call.Deadline.UnixMilli(), 10))
		out = http1.AppendField(out, "Lambda-Runtime-Invoked-Function-Arn", call.ARN)
		for _, optional := range call.optional() {
			if optional.value != "" {
				out = http1.AppendField(out, optional.name, optional.value)
			}
		}
		c.sendSoon(c.join(out, call.Payload))
	}
}

// dismiss is give of the news that there is no more work.
func (c *conn) dismiss() func() {
	c.writes.Lock()
	return func() { c.sendSoon(c.refusal(410, "Sandbox.Gone", "there is no more work")) }
}

// sendSoon sends, without a wait, and gives the right to write back. One that did not get it
// does not answer: its deadline ends it.
func (c *conn) sendSoon(b []byte) {
	n := 0
	if c.raw != nil {
		_ = c.raw.Write(func(fd uintptr) bool {
			n, _ = unix.SendmsgN(int(fd), b, nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
			return true
		})
	}
	if n = max(n, 0); n == len(b) {
		c.writes.Unlock()
		return
	}
	go func() {
		defer c.writes.Unlock()
		_, _ = c.Write(b[n:])
	}()
}

// respond takes the answer of an invocation, or the error that stands behind it.
func (c *conn) respond(id, kind string, body []byte) bool {
	call, status, why, message := c.env.take(id)
	if call == nil {
		return c.refuse(status, why, message)
	}
	end := result{answer: &Answer{ContentType: kind, Body: held(body)}}
	if f := c.trailed(); f != nil {
		end = result{failure: f}
	}
	c.env.finish(call, end)
	c.writes.Lock()
	defer c.writes.Unlock()
	_, err := c.Write(c.join(append(c.out[:0], "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n"...), accepted))
	return err == nil
}

// trailed is the error that stands behind a body; nil: there is none.
func (c *conn) trailed() *InvocationError {
	kind, ok := c.chunks.Trailers.Value("lambda-runtime-function-error-type")
	if !ok {
		return nil
	}
	body, _ := c.chunks.Trailers.Value("lambda-runtime-function-error-body")
	return trailedBy(string(kind), string(body))
}

var accepted = []byte("{\"status\":\"OK\"}\n")

func (c *conn) refuse(status int, kind, message string) bool {
	c.writes.Lock()
	defer c.writes.Unlock()
	_, err := c.Write(c.refusal(status, kind, message))
	return err == nil
}

func (c *conn) refusal(status int, kind, message string) []byte {
	out := http1.AppendStatusLine(c.out[:0], status, kind)
	return c.join(append(out, "Content-Type: application/json\r\n"...), failure("", kind, message).Payload)
}

// join ends a head, and adds its body.
func (c *conn) join(head, body []byte) []byte {
	head = http1.AppendEnd(http1.AppendFraming(head, http1.Framing{Length: int64(len(body))}))
	head = append(head, body...)
	if c.out = head; cap(head) > 4*firstRead {
		c.out = nil
	}
	return head
}

// hungUp reports whether the other side has closed the connection.
func (c *conn) hungUp() bool {
	if c.raw == nil {
		return false
	}
	gone := false
	err := c.raw.Control(func(fd uintptr) {
		var one [1]byte
		n, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		gone = n == 0 && err == nil || err != nil && !errors.Is(err, unix.EAGAIN)
	})
	return gone || err != nil
}
