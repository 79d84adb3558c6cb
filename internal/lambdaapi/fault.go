package lambdaapi

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"

	"titrate/internal/controller"
	"titrate/internal/functions"
	"titrate/internal/node"
	"titrate/internal/rollout"
	"titrate/internal/sigv4"
)

// fault is an error as Lambda answers it: a type that SDKs know, and a sentence.
type fault struct {
	status  int
	code    string
	message string
	reason  string // of a throttle
}

func (f *fault) Error() string { return f.code + ": " + f.message }

func invalid(message string) *fault {
	return &fault{http.StatusBadRequest, "InvalidParameterValueException", message, ""}
}

func conflict(message string) *fault {
	return &fault{http.StatusConflict, "ResourceConflictException", message, ""}
}

func notFound(message string) *fault {
	return &fault{http.StatusNotFound, "ResourceNotFoundException", message, ""}
}

// refuse answers with an error. What is not the caller's fault is logged here, where it
// ends.
func (s *server) refuse(c *call, err error) {
	f := faultOf(err)
	if f.status == http.StatusInternalServerError {
		s.Log.Error("a request to the Lambda API failed", slog.String("action", c.action), slog.Any("error", err))
	}
	kind := "User"
	if f.status >= http.StatusInternalServerError {
		kind = "Service"
	}
	c.Header().Set("X-Amzn-Errortype", f.code)
	body := map[string]string{"Type": kind, "Message": f.message, "message": f.message} // SDKs look for the one or the other
	if f.reason != "" {
		body["Reason"] = f.reason
	}
	c.answer(f.status, body)
}

// faultOf is an error as Lambda would have it.
func faultOf(err error) *fault {
	var f *fault
	var signed *sigv4.Error
	var call *functions.CallError
	var name *functions.NameError
	var p *controller.Problem
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &signed):
		return &fault{signed.Status, signatureCode(signed.Code), signed.Why, ""}
	case errors.As(err, &name):
		return notFound("Function not found: " + functionARN(functions.Name(name.Name), "") + ". " + plain(err.Error()))
	case errors.As(err, &call):
		switch call.Code {
		case functions.CodeVersion:
			return notFound(plain(err.Error()))
		case functions.CodeEvent:
			// That it is JSON has been seen: it is too large for what it was to be.
			return &fault{http.StatusRequestEntityTooLarge, "RequestTooLargeException", plain(err.Error()), ""}
		}
		return &fault{http.StatusBadGateway, "ResourceNotReadyException", plain(err.Error()), ""}
	case errors.As(err, &p):
		text := p.Message
		if p.Hint != "" {
			text += ": " + p.Hint
		}
		switch p.Kind {
		case controller.NotFound:
			return notFound(text)
		case controller.Conflict, controller.Rejected:
			return conflict(text)
		case controller.Invalid, controller.BuildFailed:
			return invalid(text)
		case controller.Unavailable:
		}
		return &fault{http.StatusServiceUnavailable, "ServiceException", text, ""}
	case errors.Is(err, rollout.ErrUnknown):
		return notFound(err.Error())
	case errors.Is(err, node.ErrNotReady):
		return &fault{http.StatusBadGateway, "ResourceNotReadyException", err.Error(), ""}
	}
	return &fault{http.StatusInternalServerError, "ServiceException", err.Error(), ""}
}

// signatureCode is the type by which Lambda answers what is wrong with a signature.
func signatureCode(code string) string {
	switch code {
	case "SignatureDoesNotMatch":
		return "InvalidSignatureException"
	case "MissingAuthenticationToken", "IncompleteSignature", "AccessDenied":
		return code + "Exception"
	case "AuthorizationQueryParametersError":
		return "IncompleteSignatureException"
	}
	return code
}

// marks are what a person's error begins with, and its lines.
var marks = regexp.MustCompile(`^(?:error\[T\d{4}\]: | *(help|saw|where) +)`)

// plain is a person's error in one line.
func plain(text string) string {
	var parts []string
	for line := range strings.Lines(text) {
		said := strings.TrimSpace(marks.ReplaceAllString(line, ""))
		switch m := marks.FindStringSubmatch(line); {
		case m != nil && m[1] == "help":
			said = "type: " + said
		case m != nil && m[1] != "":
			said = m[1] + ": " + said
		}
		parts = append(parts, said)
	}
	return strings.Join(parts, "; ")
}

// answer writes a status and JSON.
func (c *call) answer(status int, v any) {
	c.Header().Set("Content-Type", "application/json")
	c.WriteHeader(status)
	_ = json.NewEncoder(c).Encode(v) // the caller is gone: nobody is left to tell
}

// requestID is a random UUID, RFC 9562.
func requestID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return uuid(b[:])
}

// uuid writes sixteen bytes as one.
func uuid(b []byte) string {
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:32]
}
