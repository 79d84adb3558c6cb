package runtimeapi

import (
	"io"
	"net/http"
	"strconv"
)

// The header in which a runtime says what kind of error it was.
const headerErrorType = "Lambda-Runtime-Function-Error-Type"

// next gives the runtime its next event, when there is one.
func (e *Environment) next(w http.ResponseWriter, r *http.Request) {
	refused := false
	e.change(func() {
		refused = e.polling || e.call != nil && e.call.delivered
		if !refused {
			e.polling = true
		}
	})
	if refused {
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "the runtime asks for work and has not answered what it had")
		return
	}
	var c *call
	came := e.await(r.Context().Done(), func() bool { c = e.call; return c != nil || e.gone != nil && !e.leaving })
	e.change(func() {
		e.polling = false
		if c = e.call; came && c != nil {
			c.delivered = true
		}
	})
	if !came {
		return // the runtime has hung up
	}
	if c == nil {
		refuse(w, http.StatusGone, "Sandbox.Gone", "there is no more work")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Lambda-Runtime-Aws-Request-Id", c.ID)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(c.Deadline.UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", c.ARN)
	for _, optional := range c.optional() {
		if optional.value != "" {
			h.Set(optional.name, optional.value)
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(c.Payload)))
	_, _ = w.Write(c.Payload) // one that did not get it does not answer: its deadline ends it
}

// optional are the headers of an event that not every one has.
func (c *call) optional() [3]struct{ name, value string } {
	return [...]struct{ name, value string }{
		{"Lambda-Runtime-Trace-Id", c.TraceID},
		{"Lambda-Runtime-Client-Context", c.ClientContext},
		{"Lambda-Runtime-Cognito-Identity", c.Identity},
	}
}

// poll notes that the runtime waits for an event on a connection. It is false when it may
// not: it waits already, on a connection that it has not closed, or has not answered what it
// had.
func (e *Environment) poll(on *conn) (ok bool) {
	e.change(func() {
		if e.waits != nil && e.waits.hungUp() {
			e.polling, e.waits = false, nil
		}
		if e.shut || e.polling || e.call != nil && e.call.delivered {
			return
		}
		e.polling, e.waits, ok = true, on, true
	})
	return ok
}

// serveWaiting gives the runtime what it waits for on a connection, if that is there. The
// lock is held.
func (e *Environment) serveWaiting() {
	on, c := e.waits, e.call
	switch {
	case on == nil || c == nil && (e.gone == nil || e.leaving):
		return
	case c == nil:
		e.after = append(e.after, on.dismiss())
	case on.hungUp(): // it may come again
	default:
		c.delivered = true
		e.after = append(e.after, on.give(c))
	}
	e.polling, e.waits = false, nil
}

// unpoll notes that a connection has ended.
func (e *Environment) unpoll(on *conn) {
	e.change(func() {
		if e.waits == on {
			e.polling, e.waits = false, nil
		}
	})
}

// letGo has nobody wait on a connection any more.
func (e *Environment) letGo() {
	e.change(func() {
		if e.shut = true; e.waits != nil {
			e.polling, e.waits = false, nil
		}
	})
}

// claim is the call with an id, for one answer; nil, and an answer given, if there is none.
func (e *Environment) claim(w http.ResponseWriter, id string) *call {
	c, status, kind, message := e.take(id)
	if c == nil {
		refuse(w, status, kind, message)
	}
	return c
}

// take is claim with the answer to be given.
func (e *Environment) take(id string) (c *call, status int, kind, message string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch c = e.call; {
	case c == nil || c.ID != id || !c.delivered:
		return nil, http.StatusBadRequest, "InvalidRequestID", "no invocation with this id is under way"
	case c.answering:
		return nil, http.StatusForbidden, "InvalidStateTransition", "the invocation is being answered already"
	}
	c.answering = true
	return c, 0, "", ""
}

// finish ends a call, unless it has ended meanwhile.
func (e *Environment) finish(c *call, r result) {
	e.change(func() {
		if e.call == c {
			e.call = nil
			e.ends(c, r)
		}
	})
}

// unclaim lets the runtime answer again, or its supervisor say that it has died.
func (e *Environment) unclaim(c *call) { e.change(func() { c.answering = false }) }

// respond takes the answer of an invocation, whole or as a stream.
func (e *Environment) respond(w http.ResponseWriter, r *http.Request) {
	c := e.claim(w, r.PathValue("id"))
	if c == nil {
		return
	}
	if streams(r) {
		e.stream(w, r, c)
		return
	}
	body, whole, err := read(r.Body, MaxPayload)
	switch {
	case err != nil:
		e.unclaim(c)
		refuse(w, http.StatusBadRequest, "TruncatedResponse", "the response broke off")
	case !whole:
		e.finish(c, result{failure: failure(TooLarge, "Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed payload size ("+strconv.Itoa(MaxPayload)+" bytes).")})
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "Exceeded maximum allowed payload size ("+strconv.Itoa(MaxPayload)+" bytes).")
	case trailed(r.Trailer) != nil:
		e.finish(c, result{failure: trailed(r.Trailer)})
		accept(w)
	default:
		e.finish(c, result{answer: &Answer{ContentType: r.Header.Get("Content-Type"), Body: held(body)}})
		accept(w)
	}
}

// fail takes the error of an invocation.
func (e *Environment) fail(w http.ResponseWriter, r *http.Request) {
	c := e.claim(w, r.PathValue("id"))
	if c == nil {
		return
	}
	body, whole, err := read(r.Body, MaxPayload)
	if err != nil {
		e.unclaim(c)
		refuse(w, http.StatusBadRequest, "TruncatedResponse", "the error broke off")
		return
	}
	f := told(Unhandled, r.Header.Get(headerErrorType), body)
	if !whole {
		f = failure(TooLarge, "Function.ResponseSizeTooLarge", "The error is larger than "+strconv.Itoa(MaxPayload)+" bytes.")
	}
	e.finish(c, result{failure: f})
	accept(w)
}

// failInit takes the error of a runtime that could not start.
func (e *Environment) failInit(w http.ResponseWriter, r *http.Request) {
	body, _, err := read(r.Body, MaxPayload)
	if err != nil {
		refuse(w, http.StatusBadRequest, "TruncatedResponse", "the error broke off")
		return
	}
	late := false
	e.change(func() { late = e.ready })
	if late {
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "the runtime has asked for work: its start cannot fail any more")
		return
	}
	e.end(told(Init, r.Header.Get(headerErrorType), body))
	accept(w)
}

// read takes at most limit bytes; whole is false where there were more.
func read(from io.Reader, limit int64) (body []byte, whole bool, err error) {
	body, err = io.ReadAll(io.LimitReader(from, limit+1))
	if int64(len(body)) > limit {
		return nil, false, nil
	}
	return body, true, err
}
