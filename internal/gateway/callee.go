package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"

	"titrate/internal/invocation"
)

// callee is how the front reaches a version of a function: it is called, in the place
// where a service's instance is connected to, so that all else of a request is the same.
type callee struct{ invocation.Callee }

func (callee) close() {}

// refusedError is a request that was let in, and reached no instance after all.
type refusedError struct{ *refusal }

func (e refusedError) Error() string { return e.reason }

// errSilent is a callee that broke its promise.
var errSilent = errors.New("the function's host gave no response")

// call has the function answer. again is true when its version takes no calls any more
// and the exchange has another instance, which has to be asked.
func (x *exchange) call(c callee, r *http.Request) (res *http.Response, again bool, err error) {
	switch {
	case r.Body == nil:
		r.Body = http.NoBody
	case r.Body != http.NoBody && x.kept == nil:
		x.kept = &keptBody{ReadCloser: r.Body}
		r.Body = x.kept
	}
	res, done := c.Serve(r, invocation.Call{ID: x.id, Real: !x.preview})
	switch {
	case done.Failure == invocation.Stopped:
		closeBody(res)
		err = x.move()
		return nil, err == nil, err
	case x.badBody.Load():
		closeBody(res) // what it says of half a body is not the function's fault
		return nil, false, errors.New("the request's body could not be read")
	case done.Failure == invocation.Canceled:
		closeBody(res)
		x.called = called{done.Failure, done.Cold}
		if r.Context().Err() == nil {
			x.clientGone.Store(true)
		}
		return nil, false, context.Canceled
	case res == nil:
		return nil, false, errSilent
	}
	x.called = called{done.Failure, done.Cold}
	res.Request = r
	if res.Header == nil {
		res.Header = http.Header{}
	}
	if res.ContentLength > 0 && res.Header.Get("Content-Length") == "" {
		res.Header.Set("Content-Length", strconv.FormatInt(res.ContentLength, 10))
	}
	return res, false, nil
}

// move takes the exchange from a version that takes no calls any more to where the
// newest table leads.
func (x *exchange) move() error {
	if x.kept != nil && !x.kept.again() {
		x.cut() // there is nothing to give to another
		return errCut
	}
	next, ref := x.redraw(func(s *snapshot) (way, *refusal) {
		return s.find(x.front.arrival(x.in), x.gateway.cfg)
	})
	switch {
	case ref == nil && next == nil:
		return errCut
	case ref == nil:
		next.begin(x.cancel)
		x.ticket = next
		return nil
	case next != nil:
		next.unready(ref)
		x.ticket = next
	default: // refused before a version was drawn: on nobody's account
		x.counted = true
	}
	return refusedError{ref}
}

func closeBody(res *http.Response) {
	if res != nil && res.Body != nil {
		res.Body.Close()
	}
}

// maxKept is how much of a request's body is kept: more than a function may be sent.
const maxKept = 10 << 20

// keptBody is a request's body on its way to a function. What was read of it is kept, so
// that it can be given to another version when the first turns out to have stopped.
type keptBody struct {
	io.ReadCloser
	kept []byte
	at   int // of kept, while that is read again
	long bool
}

func (b *keptBody) Read(p []byte) (int, error) {
	if b.at < len(b.kept) {
		n := copy(p, b.kept[b.at:])
		b.at += n
		return n, nil
	}
	n, err := b.ReadCloser.Read(p)
	if b.long = b.long || len(b.kept)+n > maxKept; b.long {
		b.kept = nil
	} else {
		b.kept = append(b.kept, p[:n]...)
	}
	b.at = len(b.kept)
	return n, err
}

// again makes it be read from its beginning; false when that is not kept.
func (b *keptBody) again() bool {
	b.at = 0
	return !b.long
}
