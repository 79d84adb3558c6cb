package gateway

import (
	"net/http"
	"time"

	"titrate/internal/http1"
)

// shield gives the request to stable where a candidate has failed it, with a status that
// the client has not been told (R25). The head of the candidate's answer is the next n
// bytes of its link; 0: there is none. False: the failure is to be served.
func (x *passage) shield(status, n int) bool {
	if status < http.StatusInternalServerError || !x.onTrial() {
		return false
	}
	o := x.outcome()
	o.status = status
	r := x.c.req
	_, keyed := r.Value("idempotency-key")
	// All of the request is in the client's buffer.
	next := x.ticket.shield(failure{outcome: o, broke: x.broke, safe: shieldsMethod(methodName(r.Method), keyed), kept: true})
	if next == nil {
		return false
	}
	x.letGo(n)
	x.ticket, x.again, x.sent = next, repeatable(r), x.c.loop.now
	x.broke, x.called, x.res, x.since, x.waited = false, called{}, http1.Response{}, time.Time{}, 0
	next.begin(x.cutter())
	x.dispatch()
	return true
}

// letGo gives up the candidate's answer: its link is kept where all of it has come.
func (x *passage) letGo(n int) {
	k := x.k
	if k == nil || n == 0 || x.res.Chunked || x.res.ToEOF || !x.res.NoBody && int64(len(k.unread())-n) != x.res.Length {
		x.drop()
		return
	}
	k.from = k.to
	x.k = nil
	k.free(!x.res.Close)
}
