// Package fn is the runtime of this repository's functions: it asks for events over
// AWS Lambda's Runtime API, gives each to a handler, and sends back what that says.
//
// It is written to "Using the Lambda runtime API for custom runtimes" of the AWS
// Lambda developer guide, and does one event at a time, as a Lambda runtime does.
package fn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// Handler does the work of one event and says what to answer, both in JSON.
type Handler func(ctx context.Context, event []byte) ([]byte, error)

// Program is one process of a function.
type Program struct {
	API     string // AWS_LAMBDA_RUNTIME_API: host:port
	Handler Handler
	Client  *http.Client // nil: one without a limit, since next waits for as long as there is no work
}

// failure is an error as the Runtime API takes it.
type failure struct {
	Message string   `json:"errorMessage"`
	Type    string   `json:"errorType"`
	Trace   []string `json:"stackTrace"`
}

// errPanic marks a handler that panicked: its process must not go on.
var errPanic = errors.New("the handler panicked")

// Run does events until ctx ends or the host is gone. A handler that panics is
// reported and ends the run, because nobody knows what it left behind.
func (p Program) Run(ctx context.Context) error {
	if p.Client == nil {
		p.Client = &http.Client{}
	}
	for {
		if err := p.one(ctx); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // asked to stop
			}
			return err
		}
	}
}

// InitError says that the process cannot do events at all, and why.
func (p Program) InitError(ctx context.Context, why error) error {
	if p.Client == nil {
		p.Client = &http.Client{}
	}
	return p.post(ctx, "init/error", "Runtime.InitError", failure{why.Error(), "Runtime.InitError", nil})
}

func (p Program) one(ctx context.Context) error {
	head, event, err := p.next(ctx)
	if err != nil {
		return err
	}
	id := head.Get("Lambda-Runtime-Aws-Request-Id")
	work := ctx
	if ms, err := strconv.ParseInt(head.Get("Lambda-Runtime-Deadline-Ms"), 10, 64); err == nil {
		var cancel context.CancelFunc
		work, cancel = context.WithDeadline(ctx, time.UnixMilli(ms))
		defer cancel()
	}
	answer, failed := p.handle(work, event)
	// What was worked out is told also to a host that wants the process to stop.
	tell := context.WithoutCancel(ctx)
	if failed == nil {
		return p.post(tell, "invocation/"+id+"/response", "", json.RawMessage(answer))
	}
	told := failure{Message: failed.Error(), Type: kind(failed)}
	var broken *panicError
	if errors.As(failed, &broken) {
		told.Trace = broken.trace
	}
	if err := p.post(tell, "invocation/"+id+"/error", told.Type, told); err != nil {
		return err
	}
	if broken != nil {
		return errPanic
	}
	return nil
}

// handle calls the handler, and turns a panic into an error.
func (p Program) handle(ctx context.Context, event []byte) (answer []byte, err error) {
	defer func() {
		if what := recover(); what != nil {
			err = &panicError{fmt.Sprint(what), strings.Split(strings.TrimSpace(string(debug.Stack())), "\n")}
		}
	}()
	if answer, err = p.Handler(ctx, event); err == nil && len(answer) == 0 {
		answer = []byte("null")
	}
	return answer, err
}

type panicError struct {
	what  string
	trace []string
}

func (e *panicError) Error() string { return e.what }

// kind names an error: by its Go type, without the package's path.
func kind(err error) string {
	var broken *panicError
	switch {
	case errors.As(err, &broken):
		return "Runtime.Panic"
	case errors.Is(err, context.DeadlineExceeded):
		return "DeadlineExceeded"
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", err), "*")
}

func (p Program) next(ctx context.Context) (http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url("invocation/next"), nil)
	if err != nil {
		return nil, nil, fmt.Errorf("ask for work: %w", err)
	}
	resp, err := p.Client.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("ask for work: %w", err)
	}
	defer resp.Body.Close()
	event, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("read the event: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("ask for work: the host answered %d: %.200s", resp.StatusCode, event)
	}
	return resp.Header, event, nil
}

func (p Program) post(ctx context.Context, path, errorType string, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("tell the host: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url(path), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("tell the host: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if errorType != "" {
		req.Header.Set("Lambda-Runtime-Function-Error-Type", errorType)
	}
	resp, err := p.Client.Do(req)
	if err != nil {
		return fmt.Errorf("tell the host: %w", err)
	}
	defer resp.Body.Close()
	// Read to its end, so that the connection serves again. 413 is for the caller of
	// the function, and 410 says that nobody waits any more: both end only the event.
	said, _ := io.ReadAll(resp.Body)
	if resp.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("tell the host: it answered %d: %.200s", resp.StatusCode, said)
	}
	return nil
}

func (p Program) url(path string) string { return "http://" + p.API + "/2018-06-01/runtime/" + path }
