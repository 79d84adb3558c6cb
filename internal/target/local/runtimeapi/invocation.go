package runtimeapi

import (
	"io"
	"time"
)

// MaxPayload is how large, in bytes, an event and a response may be: 6 MiB, and the few
// bytes more that Lambda grants ("Lambda quotas"). A streamed response has [MaxStream].
const (
	MaxPayload = 6<<20 + 100
	MaxStream  = 200 << 20
)

// Invocation is one event for the function.
type Invocation struct {
	ID            string // of the request, unique; what the runtime answers to
	Payload       []byte // JSON; at most [MaxPayload]
	Deadline      time.Time
	ARN           string // as it was called: with the alias or the version
	TraceID       string // header X-Amzn-Trace-Id; empty: none
	ClientContext string // JSON of a mobile SDK; empty: none
	Identity      string // JSON of Cognito; empty: none
}

// Answer is what the function answered. Body must be read to its end or closed; where
// it is streamed its error may be a [*InvocationError] that came to light on the way.
type Answer struct {
	ContentType string
	Streamed    bool
	Body        io.ReadCloser
}

// StreamedHTTP is the content type of a streamed answer that begins with a prelude: a
// JSON object with statusCode, headers and cookies, ended by eight NUL bytes.
const StreamedHTTP = "application/vnd.awslambda.http-integration-response"

// call is an invocation under way.
type call struct {
	Invocation
	delivered bool                    // the runtime has it
	answering bool                    // the runtime has begun to answer: it cannot answer again
	done      func(result)            // called once, without the lock
	over      <-chan struct{}         // closed when the invoker's time is up, or he is gone
	expired   func() *InvocationError // which of the two
}

// result is how a call ended.
type result struct {
	answer  *Answer
	failure error
}
