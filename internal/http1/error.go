package http1

import "strconv"

// Error says why a message is refused. Nothing after it on the connection can be told apart from the message, so the connection has to
// be closed once Status was answered.
type Error struct {
	Status int    // what a server answers: 400, 414, 417, 431, 501 or 505; 502 where the message was an upstream's head
	Why    string // a sentence without the message's own bytes: safe to log and to send
}

// Error is the status and the reason.
func (e *Error) Error() string { return "http1: " + strconv.Itoa(e.Status) + ": " + e.Why }

// The statuses of refusals (RFC 9110, 15; RFC 6585 for 431).
const (
	badRequest           = 400
	methodNotAllowed     = 405
	uriTooLong           = 414
	expectationFailed    = 417
	headerFieldsTooLarge = 431
	notImplemented       = 501
	badGateway           = 502
	versionNotSupported  = 505
)

func bad(why string) *Error { return &Error{Status: badRequest, Why: why} }
