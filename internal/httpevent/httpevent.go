// Package httpevent translates between HTTP and the events API Gateway would
// give a function: requests to payloads 2.0 and 1.0, answers back, and the
// routes and CORS rules between. It opens no sockets and reads no clock.
//
// Sources: the AWS pages "Create AWS Lambda proxy integrations for HTTP APIs in
// API Gateway", "Lambda proxy integrations in API Gateway", "Create routes for
// HTTP APIs" and "Configure CORS for HTTP APIs".
package httpevent

import (
	"encoding/base64"
	"mime"
	"net/http"
	"net/textproto"
	"strings"
	"time"
	"unicode/utf8"
)

// Call is one request with what the gateway knows about it. Body is the whole
// body, read by the caller.
type Call struct {
	Request    *http.Request
	Body       []byte
	Match      Match
	Stage      string            // "$default" when empty
	Variables  map[string]string // stage variables
	Account    string
	API        string
	RequestID  string
	SourceIP   string // address of the client, without the port
	Now        time.Time
	Authorizer *Authorized // nil without an authorizer
}

// Authorized is what a JWT authorizer found in a valid token.
type Authorized struct {
	Claims map[string]string
	Scopes []string // nil when the route asks for none
}

func (c Call) stage() string {
	if c.Stage == "" {
		return "$default"
	}
	return c.Stage
}

// body returns the body as the event carries it, and whether in base64.
func (c Call) body() (string, bool) {
	if len(c.Body) == 0 {
		return "", false
	}
	if isText(c.Request.Header.Get("Content-Type")) && c.Request.Header.Get("Content-Encoding") == "" && utf8.Valid(c.Body) {
		return string(c.Body), false
	}
	return base64.StdEncoding.EncodeToString(c.Body), true
}

// isText says whether HTTP APIs pass a content type as text. The types are
// those AWS lists: text/*, JSON, JavaScript and XML. A body that is not UTF-8 is sent
// in base64 whatever its type, as JSON cannot carry it.
func isText(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	switch kind {
	case "application/json", "application/javascript", "application/xml":
		return true
	}
	return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml")
}

// headers returns the headers a function may see: with Host, which net/http
// keeps apart, and without those that belong to one connection.
func headers(r *http.Request) http.Header {
	out := r.Header.Clone()
	if out == nil {
		out = http.Header{}
	}
	removeHopByHop(out)
	if r.Host != "" {
		out.Set("Host", r.Host)
	}
	return out
}

// removeHopByHop deletes what RFC 9110, section 7.6.1, says belongs to one
// connection, with the headers that Connection names.
func removeHopByHop(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			h.Del(textproto.TrimString(name))
		}
	}
	for _, name := range []string{
		"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate",
		"Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	} {
		h.Del(name)
	}
}
