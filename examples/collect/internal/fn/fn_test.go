package fn_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"titrate/examples/collect/internal/fn"
	"titrate/internal/target/local/runtimeapi"
)

// run has a handler ask a host for work, and returns the host and how the run ended.
func run(t *testing.T, h fn.Handler) (*runtimeapi.Environment, <-chan error) {
	t.Helper()
	e := runtimeapi.New(runtimeapi.Config{Function: runtimeapi.Function{Name: "f", Version: "1", Memory: 128}})
	host := httptest.NewServer(e)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := fn.Program{API: strings.TrimPrefix(host.URL, "http://"), Handler: h, Client: &http.Client{Transport: &http.Transport{}}}.Run(ctx)
		e.Exited(runtimeapi.Ended("exit status 1"))
		ended <- err
	}()
	t.Cleanup(func() {
		stop()
		<-done
		host.Close()
	})
	return e, ended
}

func invoke(t *testing.T, e *runtimeapi.Environment, event string) (string, error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	a, err := e.Invoke(ctx, runtimeapi.Invocation{ID: "8476a536-e9f4-11e8-9739-2dfe598c3fcd", Payload: []byte(event), Deadline: deadline, ARN: "arn"})
	if err != nil {
		return "", err
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	return string(body), err
}

type coldCoffeeError struct{}

func (coldCoffeeError) Error() string { return "the coffee is cold" }

func story(ctx context.Context, event []byte) ([]byte, error) {
	switch string(event) {
	case `"deadline"`:
		at, ok := ctx.Deadline()
		return json.Marshal(ok && time.Until(at) > 30*time.Second)
	case `"error"`:
		return nil, coldCoffeeError{}
	case `"nothing"`:
		return nil, nil
	case `"late"`:
		return nil, fmt.Errorf("it took too long: %w", context.DeadlineExceeded)
	case `"panic"`:
		panic("no cup")
	}
	return event, nil
}

func TestProgram_doesEvents(t *testing.T) {
	t.Parallel()
	e, ended := run(t, story)
	for event, want := range map[string]string{`{"a":1}`: `{"a":1}`, `"nothing"`: "null", `"deadline"`: "true"} {
		if got, err := invoke(t, e, event); err != nil || got != want {
			t.Errorf("%s: %s, %v", event, got, err)
		}
	}
	for event, kind := range map[string]string{`"error"`: "fn_test.coldCoffeeError", `"late"`: "DeadlineExceeded"} {
		var f *runtimeapi.InvocationError
		if _, err := invoke(t, e, event); !errors.As(err, &f) || f.Class != runtimeapi.Unhandled || f.Type != kind {
			t.Errorf("%s: %+v", event, err)
		}
	}
	// A panic is told with its trace, and ends the process.
	var f *runtimeapi.InvocationError
	if _, err := invoke(t, e, `"panic"`); !errors.As(err, &f) || f.Type != "Runtime.Panic" || !strings.Contains(string(f.Payload), "fn_test.go") {
		t.Errorf("%+v", err)
	}
	if err := <-ended; err == nil {
		t.Error("it went on after a panic")
	}
}

func TestProgram_saysThatItCannotStart(t *testing.T) {
	t.Parallel()
	e := runtimeapi.New(runtimeapi.Config{Function: runtimeapi.Function{Name: "f"}})
	host := httptest.NewServer(e)
	defer host.Close()
	if err := (fn.Program{API: strings.TrimPrefix(host.URL, "http://")}).InitError(t.Context(), errors.New("not set: X")); err != nil {
		t.Fatal(err)
	}
	if err := e.Ready(nil); err == nil || !strings.Contains(err.Error(), "not set: X") {
		t.Errorf("%v", err)
	}
}

func TestProgram_endsWithItsHost(t *testing.T) {
	t.Parallel()
	host := httptest.NewServer(http.NotFoundHandler())
	defer host.Close()
	if err := (fn.Program{API: strings.TrimPrefix(host.URL, "http://"), Handler: story}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("%v", err)
	}
}

func TestQueue_failsMessagesOneByOne(t *testing.T) {
	t.Parallel()
	var told []string
	h := fn.Queue(func(_ context.Context, body []byte) error {
		if string(body) == "bad" {
			return coldCoffeeError{}
		}
		return nil
	}, func(id string, _ error) { told = append(told, id) })
	got, err := h(t.Context(), []byte(`{"Records":[{"messageId":"1","body":"good"},{"messageId":"2","body":"bad"}]}`))
	if err != nil || string(got) != `{"batchItemFailures":[{"itemIdentifier":"2"}]}` || len(told) != 1 {
		t.Errorf("%s, %v, %v", got, err, told)
	}
	if got, err := h(t.Context(), []byte(`{"Records":[]}`)); err != nil || string(got) != `{"batchItemFailures":[]}` {
		t.Errorf("%s, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := h(ctx, []byte(`{"Records":[{"messageId":"1","body":"good"}]}`)); err != nil || !strings.Contains(string(got), `"1"`) {
		t.Errorf("out of time: %s, %v", got, err)
	}
}

func TestEvents_thatAreNone(t *testing.T) {
	t.Parallel()
	nothing := func(context.Context, []byte) error { return nil }
	for name, h := range map[string]fn.Handler{
		"queue": fn.Queue(nothing, nil), "topic": fn.Topic(nothing), "timer": fn.Timer(func(context.Context, time.Time) error { return nil }),
		"http": fn.HTTP(func(context.Context, fn.Request) (fn.Response, error) { return fn.Response{}, nil }),
	} {
		if _, err := h(t.Context(), []byte(`[`)); err == nil {
			t.Errorf("%s: an event that is none was done", name)
		}
	}
}

func TestRequest_decodesBase64(t *testing.T) {
	t.Parallel()
	var into struct{ A int }
	if err := (fn.Request{Body: "eyJhIjoxfQ==", Base64: true}).Decode(&into); err != nil || into.A != 1 {
		t.Errorf("%+v, %v", into, err)
	}
	if err := (fn.Request{Body: "%", Base64: true}).Decode(&into); err == nil {
		t.Error("what is no base64 was read")
	}
}

// FuzzHandlers: no event makes a handler panic.
func FuzzHandlers(f *testing.F) {
	f.Add([]byte(`{"Records":[{"messageId":"1","body":"x","Sns":{"Message":"m"}}],"time":"2026-01-01T00:00:00Z","routeKey":"GET /","body":"e30=","isBase64Encoded":true}`))
	f.Add([]byte(`{"probe":true}`))
	f.Fuzz(func(t *testing.T, event []byte) {
		fine := func(context.Context) error { return nil }
		for _, h := range []fn.Handler{
			fn.Queue(func(context.Context, []byte) error { return coldCoffeeError{} }, func(string, error) {}),
			fn.Topic(func(context.Context, []byte) error { return coldCoffeeError{} }),
			fn.Timer(func(context.Context, time.Time) error { return nil }),
			fn.HTTP(func(_ context.Context, r fn.Request) (fn.Response, error) {
				var v any
				if err := r.Decode(&v); err != nil {
					return fn.Refuse(http.StatusBadRequest, err.Error())
				}
				return fn.JSON(http.StatusOK, v)
			}),
		} {
			answer, err := fn.Probed(h, fine)(t.Context(), event)
			if err == nil && len(answer) > 0 && !json.Valid(answer) {
				t.Errorf("%q is answered with %q", event, answer)
			}
		}
	})
}
