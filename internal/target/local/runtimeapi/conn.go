package runtimeapi

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
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
// them whole.
type conn struct {
	net.Conn
	env *Environment
	in  []byte // what was read and not used
	out []byte
	req http1.Request
}

// serve answers the two requests of each invocation. At any other, or one that is not of
// the plainest form, it ends, with what was read from there on; more is false where the
// connection has ended.
func (e *Environment) serve(nc net.Conn) (read []byte, more bool) {
	c := &conn{Conn: nc, env: e, in: make([]byte, 0, firstRead)}
	for {
		n, err := c.req.Parse(c.in, http1.Limits{})
		switch {
		case err != nil:
			return c.in, true
		case n == 0:
			if !c.more() {
				return nil, false
			}
			continue
		}
		var ok bool
		switch id := c.answers(); {
		case c.asks():
			c.in = c.in[:copy(c.in, c.in[n:])]
			ok = c.next()
		case id != "" && c.req.Length <= MaxPayload:
			body, whole := c.body(n)
			if !whole {
				return nil, false
			}
			ok = c.respond(id, body)
		default:
			return c.in, true
		}
		if !ok {
			return nil, false
		}
	}
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
	return r.Minor == 1 && !r.Chunked && !r.Expect100 && !r.Close && !r.Absolute && !r.HasQuery && r.Upgrade == nil
}

// asks reports whether the runtime asks for an event.
func (c *conn) asks() bool {
	return c.plain() && c.req.Length <= 0 && string(c.req.Method) == "GET" && bytes.Equal(c.req.Path, nextPath)
}

// answers is the invocation that is answered whole; empty: none is.
func (c *conn) answers() string {
	r := &c.req
	if !c.plain() || r.Length < 0 || string(r.Method) != "POST" || !bytes.HasPrefix(r.Path, before) || !bytes.HasSuffix(r.Path, responseOf) || len(r.Path) <= len(before)+len(responseOf) {
		return ""
	}
	if mode, ok := r.Value("lambda-runtime-function-response-mode"); ok && len(mode) > 0 {
		return ""
	}
	if kind, _ := r.Value("content-type"); string(kind) == StreamedHTTP {
		return ""
	}
	id := r.Path[len(before) : len(r.Path)-len(responseOf)]
	if bytes.ContainsAny(id, "/%") {
		return ""
	}
	return string(id)
}

// body reads the body behind a head of n bytes.
func (c *conn) body(n int) (body []byte, whole bool) {
	body = make([]byte, c.req.Length)
	got := copy(body, c.in[n:])
	c.in = c.in[:copy(c.in, c.in[n+got:])]
	if _, err := io.ReadFull(c.Conn, body[got:]); err != nil {
		return nil, false
	}
	return body, true
}

// next gives the runtime its next event, when there is one.
func (c *conn) next() bool {
	e := c.env
	left, ok := e.poll(c)
	if !ok {
		return c.refuse(403, "InvalidStateTransition", "the runtime asks for work and has not answered what it had")
	}
	var call *call
	came := e.await(left, func() bool { call = e.call; return call != nil || e.gone != nil && !e.leaving })
	call, ok = e.deliver(c, came)
	switch {
	case !ok: // the runtime has asked again, elsewhere
		return false
	case call == nil:
		return c.refuse(410, "Sandbox.Gone", "there is no more work")
	}
	out := append(c.out[:0], "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"...)
	out = http1.AppendField(out, "Lambda-Runtime-Aws-Request-Id", call.ID)
	out = http1.AppendField(out, "Lambda-Runtime-Deadline-Ms", strconv.FormatInt(call.Deadline.UnixMilli(), 10))
	out = http1.AppendField(out, "Lambda-Runtime-Invoked-Function-Arn", call.ARN)
	for _, optional := range call.optional() {
		if optional.value != "" {
			out = http1.AppendField(out, optional.name, optional.value)
		}
	}
	return c.send(out, call.Payload)
}

// respond takes the answer of an invocation.
func (c *conn) respond(id string, body []byte) bool {
	call, status, kind, message := c.env.take(id)
	if call == nil {
		return c.refuse(status, kind, message)
	}
	// A view of what was read: it is used at once.
	kindOf, _ := c.req.Value("content-type")
	c.env.finish(call, result{answer: &Answer{ContentType: string(kindOf), Body: held(body)}})
	return c.send(append(c.out[:0], "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n"...), accepted)
}

var accepted = []byte("{\"status\":\"OK\"}\n")

func (c *conn) refuse(status int, kind, message string) bool {
	out := http1.AppendStatusLine(c.out[:0], status, kind)
	return c.send(append(out, "Content-Type: application/json\r\n"...), failure("", kind, message).Payload)
}

// send ends a head, and sends it with its body.
func (c *conn) send(head, body []byte) bool {
	head = http1.AppendEnd(http1.AppendFraming(head, http1.Framing{Length: int64(len(body))}))
	head = append(head, body...)
	if c.out = head; cap(head) > 4*firstRead {
		c.out = nil
	}
	_, err := c.Write(head)
	return err == nil
}

// hungUp reports whether the other side has closed the connection.
func (c *conn) hungUp() bool {
	raw, ok := c.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = control.Control(func(fd uintptr) {
		var one [1]byte
		n, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		gone = n == 0 && err == nil || err != nil && !errors.Is(err, unix.EAGAIN)
	})
	return gone || err != nil
}
