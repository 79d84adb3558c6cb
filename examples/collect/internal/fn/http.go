package fn

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Request is an HTTP request as API Gateway's payload format 2.0 has it ("Create AWS
// Lambda proxy integrations for HTTP APIs in API Gateway").
type Request struct {
	Route   string            `json:"routeKey"`
	Path    string            `json:"rawPath"`
	Headers map[string]string `json:"headers"` // names in lower case
	Query   map[string]string `json:"queryStringParameters"`
	Params  map[string]string `json:"pathParameters"`
	Body    string            `json:"body"`
	Base64  bool              `json:"isBase64Encoded"`
}

// Response is what the client is answered.
type Response struct {
	Status  int               `json:"statusCode"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body"`
}

// Header returns a header of the request.
func (r Request) Header(name string) string { return r.Headers[strings.ToLower(name)] }

// Decode reads the body, which is JSON.
func (r Request) Decode(into any) error {
	body := []byte(r.Body)
	if r.Base64 {
		var err error
		if body, err = base64.StdEncoding.DecodeString(r.Body); err != nil {
			return fmt.Errorf("the body is not base64: %w", err)
		}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the body is not what was expected: %w", err)
	}
	return nil
}

// JSON is an answer in JSON.
func JSON(status int, value any) (Response, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return Response{}, fmt.Errorf("write the answer: %w", err)
	}
	return Response{status, map[string]string{"content-type": "application/json"}, string(body)}, nil
}

// Refuse is an answer that says what is wrong with the request.
func Refuse(status int, why string) (Response, error) {
	return JSON(status, map[string]string{"error": why})
}

// HTTP makes a handler of one for requests.
func HTTP(do func(ctx context.Context, r Request) (Response, error)) Handler {
	return func(ctx context.Context, event []byte) ([]byte, error) {
		var r Request
		if err := json.Unmarshal(event, &r); err != nil {
			return nil, fmt.Errorf("the event is no request: %w", err)
		}
		if r.Route == "" && r.Path == "" {
			return json.Marshal(Response{Status: http.StatusBadRequest, Body: `{"error":"the event is no request in format 2.0"}`})
		}
		answer, err := do(ctx, r)
		if err != nil {
			return nil, err
		}
		return json.Marshal(answer)
	}
}
