package runtimeapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"titrate/internal/target/local/runtimeapi"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// playFunction makes this program a function, written with AWS's own library.
const playFunction = "TITRATE_TEST_FUNCTION"

func TestMain(m *testing.M) {
	switch os.Getenv(playFunction) {
	case "":
		os.Exit(m.Run())
	case "story":
		lambda.Start(story)
	case "stream":
		lambda.Start(stream)
	case "never":
		select {}
	}
}

// order is what the function is told to do.
type order struct {
	Do   string `json:"do"`
	Size int    `json:"size"`
}

// custom is an error with a type of its own.
type custom struct{}

func (custom) Error() string { return "the beans are gone" }

func story(ctx context.Context, o order) (any, error) {
	switch o.Do {
	case "tell":
		lc, _ := lambdacontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		return map[string]any{
			"id": lc.AwsRequestID, "arn": lc.InvokedFunctionArn, "client": lc.ClientContext.Custom["who"], "deadline": deadline.UnixMilli(),
			"name": lambdacontext.FunctionName, "version": lambdacontext.FunctionVersion, "memory": lambdacontext.MemoryLimitInMB, "trace": os.Getenv("_X_AMZN_TRACE_ID"),
		}, nil
	case "error":
		return nil, custom{}
	case "panic":
		panic("no cup")
	case "exit":
		os.Exit(3)
	case "hang":
		<-ctx.Done()
		select {}
	case "large":
		return strings.Repeat("x", o.Size), nil
	}
	return o, nil
}

func stream(_ context.Context, o order) (*events.LambdaFunctionURLStreamingResponse, error) {
	body := io.Reader(strings.NewReader("one two three"))
	if o.Do == "break" {
		body = io.MultiReader(strings.NewReader("one "), broken{})
	}
	return &events.LambdaFunctionURLStreamingResponse{StatusCode: 201, Headers: map[string]string{"x-beans": "ethiopia"}, Body: body}, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the pot broke") }

// process starts the function and its host.
func process(t *testing.T, what string) *runtimeapi.Environment {
	t.Helper()
	fn := runtimeapi.Function{Name: "quotes", Version: "17", Memory: 128, Root: t.TempDir(), Runtime: "provided.al2023"}
	e := runtimeapi.New(runtimeapi.Config{Function: fn, NewID: newID()})
	host := httptest.NewServer(e)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = []string{playFunction + "=" + what}
	for name, value := range fn.Variables(strings.TrimPrefix(host.URL, "http://")) {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
		e.Exited(runtimeapi.Ended(cmd.ProcessState.String()))
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		host.Close()
	})
	return e
}

func newID() func() string {
	var n atomic.Int64
	return func() string { return fmt.Sprintf("id-%d", n.Add(1)) }
}

// invoke asks for an answer within a minute, or as long as given.
func invoke(t *testing.T, e *runtimeapi.Environment, payload string, within ...time.Duration) (string, error) {
	t.Helper()
	limit := time.Minute
	if len(within) > 0 {
		limit = within[0]
	}
	deadline := time.Now().Add(limit)
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	a, err := e.Invoke(ctx, runtimeapi.Invocation{
		ID: "8476a536-e9f4-11e8-9739-2dfe598c3fcd", Payload: []byte(payload), Deadline: deadline, ARN: "arn:aws:lambda:local:000000000000:function:quotes:live",
		TraceID: "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700", ClientContext: `{"custom":{"who":"ada"}}`,
	})
	if err != nil {
		return "", err
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	return string(body), err
}

func failed(t *testing.T, err error, class runtimeapi.Class, kind, message string) *runtimeapi.InvocationError {
	t.Helper()
	var f *runtimeapi.InvocationError
	if !errors.As(err, &f) || f.Class != class || f.Type != kind || !strings.Contains(f.Message, message) {
		t.Fatalf("got %+v, want %s %s %q", err, class, kind, message)
	}
	var said struct{ ErrorMessage, ErrorType string }
	if json.Unmarshal(f.Payload, &said) != nil || said.ErrorMessage == "" || said.ErrorType == "" {
		t.Fatalf("the payload says %s", f.Payload)
	}
	return f
}

func ready(t *testing.T, e *runtimeapi.Environment) {
	t.Helper()
	if err := e.Ready(t.Context().Done()); err != nil {
		t.Fatal(err)
	}
}

func TestFunction_isToldWhatLambdaTells(t *testing.T) {
	t.Parallel()
	e := process(t, "story")
	ready(t, e)
	for range 3 {
		body, err := invoke(t, e, `{"do":"tell"}`)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"id":"8476a536`, `"arn":"arn:aws:lambda:local:000000000000:function:quotes:live"`, `"client":"ada"`, `"name":"quotes"`, `"version":"17"`, `"memory":128`, `"trace":"Root=1-5bef`} {
			if !strings.Contains(body, want) {
				t.Errorf("%s, without %s", body, want)
			}
		}
	}
}

func TestFunction_failsInAClassOfItsOwn(t *testing.T) {
	t.Parallel()
	e := process(t, "story")
	ready(t, e)
	_, err := invoke(t, e, `{"do":"error"}`)
	failed(t, err, runtimeapi.Unhandled, "custom", "the beans are gone")
	_, err = invoke(t, e, `{"do":1}`)
	failed(t, err, runtimeapi.Unhandled, "UnmarshalTypeError", "cannot unmarshal")
	if body, err := invoke(t, e, `{"do":"again"}`); err != nil || !strings.Contains(body, "again") {
		t.Fatalf("after errors: %s %v", body, err)
	}
	_, err = invoke(t, e, fmt.Sprintf(`{"do":"large","size":%d}`, runtimeapi.MaxPayload))
	failed(t, err, runtimeapi.TooLarge, "Function.ResponseSizeTooLarge", "exceeded")
}

func TestFunction_whoseProcessEnds(t *testing.T) {
	t.Parallel()
	e := process(t, "story")
	ready(t, e)
	_, err := invoke(t, e, `{"do":"exit"}`)
	failed(t, err, runtimeapi.Exit, "Runtime.ExitError", "exit status 3")
	if _, err = invoke(t, e, `{}`); !errors.Is(err, runtimeapi.ErrGone) {
		t.Errorf("after the end: %v", err)
	}
}

func TestFunction_thatPanics(t *testing.T) {
	t.Parallel()
	e := process(t, "story")
	ready(t, e)
	_, err := invoke(t, e, `{"do":"panic"}`)
	failed(t, err, runtimeapi.Unhandled, "string", "no cup")
}

func TestFunction_thatIsNotDoneInItsTime(t *testing.T) {
	t.Parallel()
	e := process(t, "story")
	ready(t, e)
	_, err := invoke(t, e, `{"do":"hang"}`, 50*time.Millisecond)
	failed(t, err, runtimeapi.Timeout, "Sandbox.Timeout", "Task timed out after 0.05 seconds")
	if e.Gone() == nil {
		t.Error("it is asked again")
	}
}

func TestFunction_thatNeverAsksForWork(t *testing.T) {
	t.Parallel()
	e := process(t, "never")
	_, err := invoke(t, e, `{}`, 50*time.Millisecond)
	if !errors.Is(err, runtimeapi.ErrBusy) || e.Gone() != nil {
		t.Errorf("%v, gone %v: the event was not given, nothing has failed", err, e.Gone())
	}
}

func TestFunction_answersPieceByPiece(t *testing.T) {
	t.Parallel()
	e := process(t, "stream")
	ready(t, e)
	body, err := invoke(t, e, `{}`)
	prelude, rest, found := strings.Cut(body, strings.Repeat("\x00", 8))
	if err != nil || !found || rest != "one two three" || !strings.Contains(prelude, `"statusCode":201`) || !strings.Contains(prelude, "ethiopia") {
		t.Fatalf("%q %v", body, err)
	}
	e.Settled(t.Context().Done())
	body, err = invoke(t, e, `{"do":"break"}`)
	failed(t, err, runtimeapi.Unhandled, "errorString", "the pot broke")
	if !strings.HasSuffix(body, "one ") {
		t.Errorf("what came before the error: %q", body)
	}
}
