package gateway

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"time"
)

// Which of an answer's head and its route's timeout was first.
const (
	inTime = iota + 1
	tooLate
)

// lateError is an answer whose head has not come within its route's timeout.
type lateError struct{}

func (lateError) Error() string { return "the version did not answer within the timeout of its route" }
func (lateError) Timeout() bool { return true }

// Temporary makes it a [net.Error].
func (lateError) Temporary() bool { return false }

var errLate error = lateError{}

// stopClock ends the wait for the head.
func (x *exchange) stopClock() {
	if c := x.clock.Load(); c != nil {
		c.Stop()
	}
}

// within sends a request of whose answer the head has to come within d of the request's
// end.
func (x *exchange) within(d time.Duration, p pool, r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context()) // ended with the exchange
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) {
		x.clock.Store(time.AfterFunc(d, func() {
			if x.late.CompareAndSwap(0, tooLate) {
				cancel(errLate)
			}
		}))
	}})
	return p.patient.RoundTrip(r.WithContext(ctx))
}
