package httpx

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

// Client calls other services.
type Client struct {
	http *http.Client
	name string
}

// NewClient returns a client for the service with this name.
func NewClient(name string) *Client {
	return &Client{name: name, http: &http.Client{
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: time.Second, KeepAlive: 15 * time.Second}).DialContext,
			MaxIdleConnsPerHost:   64,
			IdleConnTimeout:       30 * time.Second,
			ResponseHeaderTimeout: 3 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Call is one request.
type Call struct {
	Method, URL string
	Key         string // Idempotency-Key; empty: a request with an effect is not repeated
	Send        any    // written as JSON; json.RawMessage as it is; nil: no body
	Into        any    // filled from a 2xx answer; nil: ignored
}

// StatusError is an answer that is not 2xx.
type StatusError struct {
	Status   int
	Sentence string // of the body's "error", where there is one
	Body     []byte
}

// Error names the status and the sentence.
func (e *StatusError) Error() string { return fmt.Sprintf("status %d: %s", e.Status, e.Sentence) }

// Refused tells an answer that will be the same next time: a 4xx other than
// those about time and load.
func Refused(err error) (*StatusError, bool) {
	var status *StatusError
	if !errors.As(err, &status) || status.Status < 400 || status.Status >= 500 ||
		status.Status == http.StatusRequestTimeout || status.Status == http.StatusTooEarly || status.Status == http.StatusTooManyRequests {
		return nil, false
	}
	return status, true
}

// attempts is how often a repeatable call is tried, waits included well within
// the three seconds that most callers give it.
const attempts = 4

// Do makes the call, and again where it is safe and the failure is one of the
// way there (no connection, no answer, 502, 503, 504).
func (c *Client) Do(ctx context.Context, call Call) error {
	var body []byte
	if call.Send != nil {
		var err error
		if body, err = json.Marshal(call.Send); err != nil {
			return fmt.Errorf("%s %s: %w", call.Method, call.URL, err)
		}
	}
	safe := call.Method == http.MethodGet || call.Key != ""
	for n := 1; ; n++ {
		again, err := c.once(ctx, call, body)
		if err == nil || !again || !safe || n == attempts {
			return err
		}
		pause := time.Duration(1<<n)*20*time.Millisecond + rand.N(40*time.Millisecond)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

func (c *Client) once(ctx context.Context, call Call, body []byte) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, call.Method, call.URL, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("User-Agent", "cofe-"+c.name)
	if id := ID(ctx); id != "" {
		req.Header.Set(RequestID, id)
	}
	if call.Key != "" {
		req.Header.Set(IdempotencyKey, call.Key)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return ctx.Err() == nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return ctx.Err() == nil, fmt.Errorf("%s %s: read the answer: %w", call.Method, call.URL, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		status := &StatusError{Status: resp.StatusCode, Body: answer}
		var said struct{ Error string }
		if json.Unmarshal(answer, &said) == nil {
			status.Sentence = said.Error
		}
		again = resp.StatusCode == http.StatusBadGateway || resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusGatewayTimeout
		return again, fmt.Errorf("%s %s: %w", call.Method, call.URL, status)
	}
	if call.Into == nil {
		return false, nil
	}
	if err := json.Unmarshal(answer, call.Into); err != nil {
		return false, fmt.Errorf("%s %s: %w", call.Method, call.URL, err)
	}
	return false, nil
}
