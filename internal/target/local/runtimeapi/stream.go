package runtimeapi

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// stream takes an answer piece by piece, and gives it on as it comes. An error on the
// way stands in the trailers.
func (e *Environment) stream(w http.ResponseWriter, r *http.Request, c *call) {
	reader, writer := io.Pipe()
	broken := make(chan struct{})
	answer := &Answer{ContentType: r.Header.Get("Content-Type"), Streamed: true, Body: reader}
	// From here on the one who waits has the answer: whatever ends the environment ends the
	// stream.
	ended := &call{Invocation: c.Invocation, delivered: true, answering: true}
	ended.done = func(r result) { _ = writer.CloseWithError(r.failure) }
	begun := false
	e.change(func() {
		if begun = e.call == c; begun {
			e.call = ended
			e.ends(c, result{answer: answer})
		}
	})
	if !begun {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "the invocation has ended meanwhile")
		return
	}
	go func() {
		select {
		case <-c.over:
			e.endOf(ended, c.expired())
		case <-broken:
		}
	}()
	defer close(broken)

	n, err := io.Copy(writer, io.LimitReader(r.Body, MaxStream+1))
	if errors.Is(err, io.ErrClosedPipe) { // nobody reads on: the function may end in peace
		_, err = io.Copy(io.Discard, io.LimitReader(r.Body, MaxStream))
	}
	var f error
	switch trailed := trailed(r.Trailer); {
	case n > MaxStream:
		f = failure(TooLarge, "Function.ResponseSizeTooLarge", "The streamed response is larger than "+strconv.Itoa(MaxStream)+" bytes.")
	case err != nil:
		f = failure(Exit, "Runtime.TruncatedResponse", "The streamed response broke off.")
	case trailed != nil:
		f = trailed
	}
	_ = writer.CloseWithError(f) // nil is the end
	e.change(func() {
		if e.call == ended {
			e.call = nil
		}
	})
	if n > MaxStream {
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "the streamed response is too large")
		return
	}
	accept(w)
}

// streams reports whether an answer comes piece by piece: the runtime says so, or, as
// AWS's library for Go, sends what is streamed alone.
func streams(r *http.Request) bool {
	return r.Header.Get("Lambda-Runtime-Function-Response-Mode") == "streaming" || r.Header.Get("Content-Type") == StreamedHTTP
}

// trailed is the error that stands behind a body; nil: there is none.
func trailed(trailer http.Header) *InvocationError {
	return trailedBy(trailer.Get(headerErrorType), trailer.Get("Lambda-Runtime-Function-Error-Body"))
}

func trailedBy(kind, encoded string) *InvocationError {
	if kind == "" {
		return nil
	}
	body, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		body = nil
	}
	return told(Unhandled, kind, body)
}

// held is a body that is in memory.
func held(body []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(body)) }
