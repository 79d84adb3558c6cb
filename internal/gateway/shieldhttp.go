package gateway

import (
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// keep returns the request so that its body can be sent once more, where stable may have to
// answer it after a candidate: one that is too long is sent as it comes.
func (x *exchange) keep(r *http.Request) *http.Request {
	if !x.onTrial() || r.Body == nil || r.Body == http.NoBody || r.ContentLength > shieldedBody || !x.safe() {
		return r
	}
	x.replay = &replay{from: r.Body, turn: make(chan struct{}, 1)}
	return x.replay.in(r)
}

func (x *exchange) safe() bool {
	return shieldsMethod(x.in.Method, len(x.in.Header["Idempotency-Key"]) > 0)
}

// shield returns the request for stable where a candidate has failed it before the client
// was told anything; nil: what came of it is what the client gets.
func (x *exchange) shield(r *http.Request, res *http.Response, err error) *http.Request {
	if !x.onTrial() || err == nil && res.StatusCode < http.StatusInternalServerError {
		return nil
	}
	var ref refusedError
	if errors.As(err, &ref) || x.ended.Load() || x.badBody.Load() || x.gone() || err != nil && isCanceled(err) {
		return nil
	}
	f := failure{outcome: x.outcome(), broke: err != nil, safe: x.safe(), kept: r.Body == nil || r.Body == http.NoBody || x.replay.whole()}
	f.status = http.StatusBadGateway
	var timeout net.Error
	switch {
	case err == nil:
		f.status = res.StatusCode
	case errors.As(err, &timeout) && timeout.Timeout():
		f.status = http.StatusGatewayTimeout
	}
	next := x.ticket.shield(f)
	if next == nil {
		return nil
	}
	closeBody(res)
	next.begin(x.cancel)
	x.ticket, x.began, x.called, x.kept, x.waited = next, time.Now(), called{}, nil, 0
	x.uploading.Store(0)
	if x.replay == nil {
		return again(r)
	}
	return x.replay.in(r)
}

// again is a request that may be sent while another of the same is not quite over: what
// still sends that one reads its own.
func again(r *http.Request) *http.Request {
	out := r.WithContext(r.Context())
	at := *r.URL
	out.URL = &at
	return out
}

// replay is a short body of a client's, from which more than one request can be sent: one
// after the other, though what sends the one before may still be about to read.
type replay struct {
	turn chan struct{} // holds a token while one of them reads; guards what follows
	from io.Reader
	read int // of it
	kept []byte
	long bool  // more has come than is kept
	err  error // that ended it
	last *replayed
}

// in is the request with the body from its beginning; bodies before it end.
func (b *replay) in(r *http.Request) *http.Request {
	b.turn <- struct{}{}
	defer b.leave()
	b.last = &replayed{of: b}
	out := again(r)
	out.Body, out.GetBody = b.last, b.untouched
	return out
}

// untouched gives the body out again, to an attempt that follows one that has read nothing.
func (b *replay) untouched() (io.ReadCloser, error) {
	b.turn <- struct{}{}
	defer b.leave()
	if b.read > 0 || b.err != nil {
		return nil, errSent
	}
	return b.last, nil
}

// errSent is a body that cannot be sent again.
var errSent = errors.New("part of the body has been sent")

// whole reports whether what has come of the body is kept. One of which the rest is still
// waited for is none that is whole.
func (b *replay) whole() bool {
	if b == nil {
		return false
	}
	late := time.NewTimer(bodyComes)
	defer late.Stop()
	select {
	case b.turn <- struct{}{}:
	case <-late.C:
		return false
	}
	defer b.leave()
	return !b.long
}

func (b *replay) leave() { <-b.turn }

// replayed is the body of one request.
type replayed struct {
	of *replay
	at int // of what was read
}

func (p *replayed) Read(to []byte) (int, error) {
	b := p.of
	b.turn <- struct{}{}
	defer b.leave()
	if p != b.last {
		return 0, http.ErrBodyReadAfterClose
	}
	if p.at < len(b.kept) {
		n := copy(to, b.kept[p.at:])
		p.at += n
		return n, nil
	}
	if p.at < b.read { // more has come since than is kept
		return 0, errSent
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.from.Read(to)
	b.read, b.err = b.read+n, err
	if b.long = b.long || len(b.kept)+n > shieldedBody; b.long {
		b.kept = nil
	} else {
		b.kept = append(b.kept, to[:n]...)
	}
	p.at = b.read
	return n, err
}

// Close does nothing: the client's connection goes on, as with [clientBody].
func (*replayed) Close() error { return nil }
