package httpevent

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Answer is what the client gets.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// AnswerError says why a function's answer is no HTTP answer. The client gets
// 502; Reason is for the log.
type AnswerError struct{ Reason string }

// Error tells the reason.
func (e *AnswerError) Error() string { return "read the function's answer: " + e.Reason }

// BadGateway is the answer for a function whose own could not be used.
func BadGateway() Answer {
	return Message(http.StatusBadGateway, "Internal Server Error")
}

// Message is an answer of the gateway itself, in API Gateway's form.
func Message(status int, message string) Answer {
	body, _ := json.Marshal(map[string]string{"message": message})
	return Answer{status, http.Header{"Content-Type": {"application/json"}}, body}
}

type reply struct {
	Status  *statusCode                `json:"statusCode"`
	Headers map[string]json.RawMessage `json:"headers"`
	Multi   map[string][]string        `json:"multiValueHeaders"`
	Cookies []string                   `json:"cookies"`
	Body    *string                    `json:"body"`
	Base64  bool                       `json:"isBase64Encoded"`
}

// statusCode is a number, or one in quotes, as many functions return it.
type statusCode int

// UnmarshalJSON implements json.Unmarshaler.
func (s *statusCode) UnmarshalJSON(text []byte) error {
	if n := len(text); n == len(`"200"`) && text[0] == '"' && text[n-1] == '"' {
		text = text[1 : n-1]
	}
	return json.Unmarshal(text, (*int)(s))
}

// ParseAnswer2 reads an answer in format 2.0. JSON without statusCode is itself
// the body of a 200; what is no JSON is refused with an AnswerError.
func ParseAnswer2(data []byte) (Answer, error) {
	if !json.Valid(data) {
		return Answer{}, refuse("it is no JSON: return a JSON value")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err == nil {
		if _, ok := fields["statusCode"]; ok {
			return parse(data, false)
		}
	}
	body := bytes.TrimSpace(data)
	// A string is sent as its text, not with its quotes.
	var text string
	if body[0] == '"' && json.Unmarshal(body, &text) == nil {
		body = []byte(text)
	}
	return Answer{http.StatusOK, http.Header{"Content-Type": {"application/json"}}, bytes.Clone(body)}, nil
}

// ParseAnswer1 reads an answer in format 1.0, which infers nothing: an answer
// without statusCode is refused with an AnswerError.
func ParseAnswer1(data []byte) (Answer, error) { return parse(data, true) }

// ParsePrelude reads the JSON before a streamed body; a prelude without
// statusCode means 200. The Answer has no Body.
func ParsePrelude(data []byte) (Answer, error) {
	var p reply
	if err := json.Unmarshal(data, &p); err != nil {
		return Answer{}, refuse("the prelude of the stream is malformed: %v", err)
	}
	if p.Status == nil {
		ok := statusCode(http.StatusOK)
		p.Status = &ok
	}
	p.Body = nil
	return p.answer(false)
}

func parse(data []byte, multi bool) (Answer, error) {
	var p reply
	if err := json.Unmarshal(data, &p); err != nil {
		return Answer{}, refuse("it is malformed: %v", err)
	}
	if p.Status == nil {
		return Answer{}, refuse("statusCode is missing: return {\"statusCode\": 200, …}")
	}
	return p.answer(multi)
}

func (p reply) answer(multi bool) (Answer, error) {
	if *p.Status < 100 || *p.Status > 599 {
		return Answer{}, refuse("statusCode %d is outside 100 to 599", *p.Status)
	}
	a := Answer{Status: int(*p.Status), Header: http.Header{}}
	for name, raw := range p.Headers {
		value, err := scalar(raw)
		if err != nil {
			return Answer{}, refuse("header %q: %v", name, err)
		}
		if err := add(a.Header, name, value); err != nil {
			return Answer{}, err
		}
	}
	if multi {
		for name, values := range p.Multi {
			// A name in both maps is taken from the multi-value one.
			a.Header.Del(name)
			for _, value := range values {
				if err := add(a.Header, name, value); err != nil {
					return Answer{}, err
				}
			}
		}
	} else {
		for _, cookie := range p.Cookies {
			if err := add(a.Header, "Set-Cookie", cookie); err != nil {
				return Answer{}, err
			}
		}
	}
	removeHopByHop(a.Header)
	// The server counts the body itself; a wrong count would break the connection.
	a.Header.Del("Content-Length")
	if p.Body != nil {
		a.Body = []byte(*p.Body)
		if p.Base64 {
			body, err := base64.StdEncoding.DecodeString(*p.Body)
			if err != nil {
				return Answer{}, refuse("isBase64Encoded is true and the body is no base64: %v", err)
			}
			a.Body = body
		}
	}
	if a.Header.Get("Content-Type") == "" && len(a.Body) > 0 {
		kind := "application/json"
		if !json.Valid(a.Body) {
			kind = "text/plain; charset=utf-8"
		}
		a.Header.Set("Content-Type", kind)
	}
	return a, nil
}

// scalar takes strings, numbers and booleans, as functions return
// {"content-length": 12}.
func scalar(raw json.RawMessage) (string, error) {
	text := string(raw)
	switch {
	case strings.HasPrefix(text, `"`):
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	case text == "null", strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["):
		return "", fmt.Errorf("the value %s is no string", text)
	}
	return text, nil
}

func add(h http.Header, name, value string) error {
	if !httpguts.ValidHeaderFieldName(name) {
		return refuse("header name %q is not valid", name)
	}
	if !httpguts.ValidHeaderFieldValue(value) {
		return refuse("the value of header %q is not valid", name)
	}
	h.Add(name, value)
	return nil
}

func refuse(format string, args ...any) error {
	return &AnswerError{Reason: fmt.Sprintf(format, args...)}
}
