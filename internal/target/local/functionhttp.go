package local

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"titrate/internal/httpevent"
	"titrate/internal/httpevent/jwt"
	"titrate/internal/invocation"
	"titrate/internal/target/local/runtimeapi"
)

const (
	// account and API ids are of AWS, which nothing here is part of; functions log them.
	localAccount = "000000000000"
	localAPI     = "titrate"
	// mostPrelude is how long the JSON before a streamed body may be.
	mostPrelude = 256 << 10
	preludeEnd  = 8 // NUL bytes
)

// Serve answers a request with the function, as an HTTP API does: preflights and tokens
// are its own business, and not the function's.
func (fn *function) Serve(r *http.Request, c invocation.Call) (*http.Response, invocation.Called) {
	select {
	case <-fn.told:
	case <-fn.retired: // it is not wanted, and never was since a restart
		a := fn.stopped()
		return failure(r, a.called), a.called
	case <-r.Context().Done():
		return canceled(r, "")
	}
	type served struct {
		res    *http.Response
		called invocation.Called
	}
	done := make(chan served, 1)
	fn.respond(r, c, fn.wish.Load().door, func(res *http.Response, called invocation.Called) { done <- served{res, called} })
	select {
	case s := <-done:
		return s.res, s.called
	case <-r.Context().Done():
	}
	go func() { (<-done).res.Body.Close() }()
	return canceled(r, ": "+context.Cause(r.Context()).Error())
}

// canceled is the response for one who went away.
func canceled(r *http.Request, why string) (*http.Response, invocation.Called) {
	return response(r, httpevent.BadGateway()), invocation.Called{Failure: invocation.Canceled, Type: "Sandbox.Canceled", Message: "The caller went away" + cmp.Or(why, ".")}
}

// Begin is Serve without a wait.
func (fn *function) Begin(r *http.Request, c invocation.Call, then func(*http.Response, invocation.Called)) {
	w := fn.wish.Load()
	if w == nil || w.door.auth != nil || closed(fn.retired) { // it may have to wait, of an issuer's keys
		go func() { then(fn.Serve(r, c)) }()
		return
	}
	fn.respond(r, c, w.door, then) // by that wish: a newer one may have an issuer
}

// respond answers the preflights of browsers, and says to them what they may do with the
// function's answers.
func (fn *function) respond(r *http.Request, c invocation.Call, d *door, then func(*http.Response, invocation.Called)) {
	if d.cors == nil {
		fn.ask(r, c, d, then)
		return
	}
	if a, is := d.cors.Preflight(r); is {
		then(response(r, a), invocation.Called{})
		return
	}
	fn.ask(r, c, d, func(res *http.Response, called invocation.Called) {
		d.cors.Apply(r, res.Header)
		then(res, called)
	})
}

// ask is respond without what browsers ask for.
func (fn *function) ask(r *http.Request, c invocation.Call, d *door, then func(*http.Response, invocation.Called)) {
	who, refused, why := d.authorize(r)
	if refused != nil {
		fn.refused(d, why)
		then(response(r, *refused), invocation.Called{})
		return
	}
	body, whole, err := readRequest(r)
	switch {
	case err != nil:
		then(response(r, httpevent.Message(http.StatusBadRequest, "Bad Request")), invocation.Called{Failure: invocation.Canceled, Type: "Sandbox.Canceled", Message: "The request broke off: " + err.Error()})
		return
	case !whole:
		then(response(r, tooLarge()), invocation.Called{})
		return
	}
	event, err := d.event(httpevent.Call{
		Request: r, Body: body, Match: d.match(r), Account: localAccount, API: localAPI, RequestID: c.ID,
		SourceIP: sourceIP(r), Now: fn.s.cfg.Now(), Authorizer: who,
	})
	if err != nil || len(event) > runtimeapi.MaxPayload { // in base64 a body is a third longer
		then(response(r, tooLarge()), invocation.Called{})
		return
	}
	fn.begin(r.Context(), event, c, func(a answered) {
		if a.answer == nil {
			then(failure(r, a.called), a.called)
			return
		}
		then(d.answer(r, a))
	})
}

// refusedEvery is how often it is told in a function's log why a request was refused.
const refusedEvery = 10 * time.Second

// refused tells why a request was refused, now and then: an issuer that does not answer
// refuses them all.
func (fn *function) refused(d *door, why string) {
	now, last := fn.s.cfg.Now().UnixNano(), d.told.Load()
	if now-last < int64(refusedEvery) || !d.told.CompareAndSwap(last, now) {
		return
	}
	line := fn.f.redact.clean([]byte("a request was refused: " + why))
	fn.s.logFile(fn.f.id.key).write(fn.id, "titrate", [][]byte{line})
}

// authorize checks the token of a request; the answer is that of one that is refused, for
// a reason.
func (d *door) authorize(r *http.Request) (who *httpevent.Authorized, refused *httpevent.Answer, why string) {
	switch {
	case d.shut:
		a := httpevent.Message(http.StatusInternalServerError, "Internal Server Error")
		return nil, &a, "its jwt cannot be used"
	case d.auth == nil:
		return nil, nil, ""
	}
	who, err := d.auth.Authorize(r.Context(), r)
	var denied *jwt.DeniedError
	switch {
	case errors.As(err, &denied):
		a := denied.Answer()
		return nil, &a, denied.Reason
	case err != nil:
		a := httpevent.Message(http.StatusUnauthorized, "Unauthorized")
		return nil, &a, err.Error()
	}
	return who, nil, ""
}

// readRequest reads a body of at most what an event may be; whole is false where there
// is more.
func readRequest(r *http.Request) (body []byte, whole bool, err error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, true, nil
	}
	if r.ContentLength > runtimeapi.MaxPayload {
		return nil, false, nil
	}
	body, err = io.ReadAll(io.LimitReader(r.Body, runtimeapi.MaxPayload+1))
	return body, len(body) <= runtimeapi.MaxPayload, err
}

func tooLarge() httpevent.Answer {
	return httpevent.Message(http.StatusRequestEntityTooLarge, "Request Entity Too Large")
}

// sourceIP is who asked. What the gateway does not believe of a client it has taken out
// of the header.
func sourceIP(r *http.Request) string {
	first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ",")
	if first = strings.TrimSpace(first); first != "" {
		return first
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// answer is the response of a function that answered.
func (d *door) answer(r *http.Request, a answered) (*http.Response, invocation.Called) {
	if a.answer.Streamed {
		return d.stream(r, a)
	}
	defer a.answer.Body.Close()
	body, err := io.ReadAll(a.answer.Body)
	if err != nil {
		a = failedBy(err, a.called)
		return failure(r, a.called), a.called
	}
	parsed, err := d.read(body)
	if err == nil {
		err = final(parsed)
	}
	if err != nil {
		return malformed(r, a.called, err)
	}
	return response(r, parsed), a.called
}

// stream is the response of a function that answers piece by piece: what stands before
// eight NUL bytes is its head, and what is no such answer is all body.
func (d *door) stream(r *http.Request, a answered) (*http.Response, invocation.Called) {
	body := a.answer.Body
	if a.answer.ContentType != runtimeapi.StreamedHTTP {
		head := httpevent.Answer{Status: http.StatusOK, Header: http.Header{"Content-Type": {cmp.Or(a.answer.ContentType, "application/octet-stream")}}}
		return streaming(r, head, body), a.called
	}
	rest := bufio.NewReaderSize(body, 4<<10)
	prelude, err := readPrelude(rest)
	if err != nil {
		body.Close()
		var f *runtimeapi.InvocationError
		if errors.As(err, &f) {
			a = failedBy(err, a.called)
			return failure(r, a.called), a.called
		}
		return malformed(r, a.called, err)
	}
	head, err := httpevent.ParsePrelude(prelude)
	if err == nil {
		err = final(head)
	}
	if err != nil {
		body.Close()
		return malformed(r, a.called, err)
	}
	return streaming(r, head, struct {
		io.Reader
		io.Closer
	}{rest, body}), a.called
}

// final refuses what is no last word to a client (RFC 9110, section 15.2).
func final(a httpevent.Answer) error {
	if a.Status < http.StatusOK {
		return errors.New("the function answered with the status " + strconv.Itoa(a.Status) + ", which is no answer: return one from 200 to 599")
	}
	return nil
}

// readPrelude reads what stands before eight NUL bytes, which no JSON has.
func readPrelude(from *bufio.Reader) ([]byte, error) {
	var out []byte
	for len(out) <= mostPrelude {
		part, err := from.ReadSlice(0)
		out = append(out, part...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the stream ended before its prelude did: write the JSON of the head, and eight NUL bytes")
		}
		if err != nil {
			return nil, err
		}
		if bytes.HasSuffix(out, make([]byte, preludeEnd)) {
			return out[:len(out)-preludeEnd], nil
		}
	}
	return nil, errors.New("the prelude of the stream is longer than " + strconv.Itoa(mostPrelude) + " bytes")
}

// malformed is the response for an answer that is none.
func malformed(r *http.Request, called invocation.Called, err error) (*http.Response, invocation.Called) {
	called.Failure, called.Type, called.Message = invocation.Malformed, "Function.MalformedResponse", err.Error()
	return response(r, httpevent.BadGateway()), called
}

// failure is the response for a call that failed.
func failure(r *http.Request, called invocation.Called) *http.Response {
	switch called.Failure {
	case invocation.Throttled:
		a := httpevent.Message(http.StatusTooManyRequests, "Too Many Requests")
		a.Header.Set("Retry-After", "1")
		return response(r, a)
	case invocation.Timeout:
		return response(r, httpevent.Message(http.StatusGatewayTimeout, "Gateway Timeout"))
	case invocation.Unhandled, invocation.Memory, invocation.Exit, invocation.Init, invocation.TooLarge,
		invocation.Malformed, invocation.Stopped, invocation.Canceled:
	}
	return response(r, httpevent.BadGateway())
}

// response is an answer as a client's transport gets it.
func response(r *http.Request, a httpevent.Answer) *http.Response {
	resp := streaming(r, a, io.NopCloser(bytes.NewReader(a.Body)))
	resp.ContentLength = int64(len(a.Body))
	if a.Status == http.StatusNoContent || a.Status == http.StatusNotModified { // they have no body, whatever was returned
		resp.ContentLength, resp.Body = 0, http.NoBody
		return resp
	}
	if r.Method == http.MethodHead { // its length is that of what is not sent
		resp.Header.Set("Content-Length", strconv.Itoa(len(a.Body)))
		resp.Body = http.NoBody
	}
	return resp
}

// streaming is a response whose length is not known.
func streaming(r *http.Request, a httpevent.Answer, body io.ReadCloser) *http.Response {
	header := a.Header
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		Status: strconv.Itoa(a.Status) + " " + http.StatusText(a.Status), StatusCode: a.Status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: body, ContentLength: -1, Request: r,
	}
}
