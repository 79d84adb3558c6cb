package runtimeapi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"titrate/internal/target/local/runtimeapi"
)

// bench is a host without a process: the test plays the runtime by raw HTTP.
type bench struct {
	t    *testing.T
	env  *runtimeapi.Environment
	host *httptest.Server
}

func newBench(t *testing.T) *bench {
	t.Helper()
	e := runtimeapi.New(runtimeapi.Config{Function: runtimeapi.Function{Name: "quotes", Version: "17", Handler: "a.b"}, NewID: newID()})
	host := httptest.NewServer(e)
	t.Cleanup(host.Close)
	return &bench{t: t, env: e, host: host}
}

// call sends one request and returns its status and body.
func (b *bench) call(method, path, body string, headers ...string) (int, string, http.Header) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.host.URL+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer.StatusCode, string(said), answer.Header
}

const (
	next = "/2018-06-01/runtime/invocation/next"
	base = "/2018-06-01/runtime/invocation/"
	ext  = "/2020-01-01/extension/"
)

// began invokes, and returns when the runtime has the event; the channel gives the error.
func (b *bench) began(id string) <-chan error {
	b.t.Helper()
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
		defer cancel()
		a, err := b.env.Invoke(ctx, runtimeapi.Invocation{ID: id, Payload: []byte(`{}`), Deadline: time.Now().Add(time.Minute)})
		if err == nil {
			_, err = io.Copy(io.Discard, a.Body)
		}
		ended <- err
	}()
	if status, body, h := b.call("GET", next, ""); status != 200 || body != "{}" || h.Get("Lambda-Runtime-Aws-Request-Id") != id {
		b.t.Fatalf("next: %d %s", status, body)
	}
	return ended
}

func TestRuntime_cannotAnswerWhatItWasNotAsked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if status, body, _ := b.call("POST", base+"one/response", "{}"); status != 400 || !strings.Contains(body, "InvalidRequestID") {
		t.Errorf("without an invocation: %d %s", status, body)
	}
	ended := b.began("one")
	if status, body, _ := b.call("POST", base+"two/response", "{}"); status != 400 || !strings.Contains(body, "InvalidRequestID") {
		t.Errorf("of another: %d %s", status, body)
	}
	if status, body, _ := b.call("GET", next, ""); status != 403 || !strings.Contains(body, "InvalidStateTransition") {
		t.Errorf("next before an answer: %d %s", status, body)
	}
	if status, body, _ := b.call("POST", base+"one/response", "{}"); status != 202 || !strings.Contains(body, `"status":"OK"`) {
		t.Errorf("answer: %d %s", status, body)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if status, _, _ := b.call("POST", base+"one/error", "{}"); status != 400 {
		t.Errorf("answered twice: %d", status)
	}
	if status, _, _ := b.call("GET", "/2018-06-01/runtime/other", ""); status != 404 {
		t.Errorf("another path: %d", status)
	}
	if status, _, _ := b.call("PUT", next, ""); status != 405 {
		t.Errorf("another method: %d", status)
	}
}

func TestRuntime_errorsAreOfTheHeadersTypeOrTheBodys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ header, body, kind, message string }{
		{"Runtime.NoSuchCup", `{"errorMessage":"no cup","errorType":"CupError"}`, "Runtime.NoSuchCup", "no cup"},
		{"", `{"errorMessage":"no cup","errorType":"CupError"}`, "CupError", "no cup"},
		{"", `{"errorMessage":"no cup"}`, "Runtime.Unknown", "no cup"},
		{"", `it is no JSON`, "Runtime.Unknown", "it is no JSON"},
		{"Cup", `[1]`, "Cup", "[1]"},
	} {
		b := newBench(t)
		ended := b.began("one")
		if status, body, _ := b.call("POST", base+"one/error", c.body, "Lambda-Runtime-Function-Error-Type", c.header); status != 202 {
			t.Fatalf("%d %s", status, body)
		}
		var f *runtimeapi.InvocationError
		if err := <-ended; !errors.As(err, &f) || f.Type != c.kind || f.Message != c.message || f.Class != runtimeapi.Unhandled {
			t.Errorf("%+v: %+v", c, f)
		}
	}
}

func TestRuntime_thatCannotStart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if status, body, _ := b.call("POST", "/2018-06-01/runtime/init/error", `{"errorMessage":"no such module","errorType":"Runtime.ImportModuleError"}`); status != 202 {
		t.Fatalf("%d %s", status, body)
	}
	failed(t, b.env.Ready(t.Context().Done()), runtimeapi.Init, "Runtime.ImportModuleError", "no such module")
	if _, err := b.env.Invoke(t.Context(), runtimeapi.Invocation{}); !errors.Is(err, runtimeapi.ErrGone) {
		t.Error(err)
	}
	if status, _, _ := b.call("GET", next, ""); status != 410 {
		t.Errorf("next after it failed: %d", status)
	}
}

func TestRuntime_thatDiesBeforeItHasTheEvent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.env.Exited(runtimeapi.OutOfMemory("128 MB"))
	failed(t, b.env.Ready(t.Context().Done()), runtimeapi.Memory, "Runtime.OutOfMemory", "128 MB")
	if _, err := b.env.Invoke(t.Context(), runtimeapi.Invocation{}); !errors.Is(err, runtimeapi.ErrGone) {
		t.Errorf("%v: the event was not given to anybody", err)
	}
}

func TestInvoke_oneAtATimeAndNotTooLarge(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ended := b.began("one")
	if _, err := b.env.Invoke(t.Context(), runtimeapi.Invocation{ID: "two"}); !errors.Is(err, runtimeapi.ErrBusy) {
		t.Error(err)
	}
	if _, err := b.env.Invoke(t.Context(), runtimeapi.Invocation{Payload: make([]byte, runtimeapi.MaxPayload+1)}); !errors.Is(err, runtimeapi.ErrPayload) {
		t.Error(err)
	}
	b.call("POST", base+"one/response", "{}")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestStream_endsWithItsProcess answers piece by piece, and dies.
func TestStream_endsWithItsProcess(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ended := b.began("one")
	pieces, sent := b.streaming()
	if _, err := pieces.Write([]byte("one")); err != nil {
		t.Fatal(err)
	}
	b.env.Exited(runtimeapi.Ended("signal: killed"))
	failed(t, <-ended, runtimeapi.Exit, "Runtime.ExitError", "signal: killed")
	pieces.CloseWithError(io.ErrUnexpectedEOF)
	<-sent
}

// TestStream_endsWithItsTime begins to answer, and never ends.
func TestStream_endsWithItsTime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		a, err := b.env.Invoke(ctx, runtimeapi.Invocation{ID: "one", Payload: []byte(`{}`), Deadline: time.Now().Add(200 * time.Millisecond)})
		if err == nil {
			_, err = io.Copy(io.Discard, a.Body)
		}
		ended <- err
	}()
	b.call("GET", next, "")
	pieces, sent := b.streaming()
	defer func() {
		pieces.Close()
		<-sent
	}()
	if _, err := pieces.Write([]byte("one")); err != nil {
		t.Fatal(err)
	}
	failed(t, <-ended, runtimeapi.Timeout, "Sandbox.Timeout", "Task timed out after")
	if b.env.Gone() == nil {
		t.Error("it is asked again")
	}
}

// streaming begins an answer whose pieces are written as the test likes.
func (b *bench) streaming() (*io.PipeWriter, <-chan struct{}) {
	b.t.Helper()
	body, pieces := io.Pipe()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.host.URL+base+"one/response", body)
		if err != nil {
			return
		}
		r.Header.Set("Lambda-Runtime-Function-Response-Mode", "streaming")
		if answer, err := http.DefaultClient.Do(r); err == nil {
			answer.Body.Close()
		}
	}()
	return pieces, sent
}

func TestExtension_hearsOfInvocationsAndTheEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if status, body, _ := b.call("POST", ext+"register", `{"events":["DANCE"]}`, "Lambda-Extension-Name", "logs"); status != 400 || !strings.Contains(body, "InvalidEventType") {
		t.Errorf("%d %s", status, body)
	}
	if status, _, _ := b.call("POST", ext+"register", `{"events":[]}`); status != 400 {
		t.Errorf("without a name: %d", status)
	}
	status, body, h := b.call("POST", ext+"register", `{"events":["INVOKE","SHUTDOWN"]}`, "Lambda-Extension-Name", "logs")
	id := h.Get("Lambda-Extension-Identifier")
	if status != 200 || id == "" || !strings.Contains(body, `"functionVersion":"17"`) || !strings.Contains(body, `"handler":"a.b"`) {
		t.Fatalf("%d %s", status, body)
	}
	if status, _, _ := b.call("GET", ext+"event/next", "", "Lambda-Extension-Identifier", "another"); status != 403 {
		t.Errorf("a stranger: %d", status)
	}
	heard := make(chan string, 2)
	listen := func() {
		_, body, _ := b.call("GET", ext+"event/next", "", "Lambda-Extension-Identifier", id)
		heard <- body
	}
	go listen()
	ended := b.began("one") // waits for the extension, too
	if body := <-heard; !strings.Contains(body, `"eventType":"INVOKE"`) || !strings.Contains(body, `"requestId":"one"`) {
		t.Errorf("%s", body)
	}
	b.call("POST", base+"one/response", "{}")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if told := b.env.Shutdown("spindown", time.Now().Add(2*time.Second)); told != 1 {
		t.Errorf("%d are told", told)
	}
	listen()
	if body := <-heard; !strings.Contains(body, `"eventType":"SHUTDOWN"`) || !strings.Contains(body, `"shutdownReason":"spindown"`) {
		t.Errorf("%s", body)
	}
	if _, err := b.env.Invoke(t.Context(), runtimeapi.Invocation{}); !errors.Is(err, runtimeapi.ErrGone) {
		t.Error(err)
	}
}

func TestExtension_thatFailsEndsTheEnvironment(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, _, h := b.call("POST", ext+"register", `{"events":["INVOKE"]}`, "Lambda-Extension-Name", "logs")
	status, body, _ := b.call("POST", ext+"init/error", `{"errorMessage":"no disk"}`, "Lambda-Extension-Identifier", h.Get("Lambda-Extension-Identifier"), "Lambda-Extension-Function-Error-Type", "Extension.NoDisk")
	if status != 202 {
		t.Fatalf("%d %s", status, body)
	}
	failed(t, b.env.Ready(t.Context().Done()), runtimeapi.Exit, "Extension.NoDisk", "the extension logs failed: no disk")
}

// FuzzSurface sends anything anywhere: it is answered, and nothing hangs or panics.
func FuzzSurface(f *testing.F) {
	for _, path := range []string{base + "one/response", base + "one/error", "/2018-06-01/runtime/init/error", ext + "register", ext + "init/error", "/"} {
		f.Add("POST", path, "Runtime.Unknown", []byte(`{"errorMessage":"no cup","errorType":"CupError","events":["INVOKE"]}`))
	}
	f.Fuzz(func(t *testing.T, method, path, header string, body []byte) {
		if !strings.HasPrefix(path, "/") || method == "" {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond) // of long polls
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, method, "http://host"+path, bytes.NewReader(body))
		if err != nil {
			return
		}
		r.Header["Lambda-Runtime-Function-Error-Type"] = []string{header}
		r.Header["Lambda-Extension-Name"] = []string{header}
		w := httptest.NewRecorder()
		runtimeapi.New(runtimeapi.Config{NewID: newID()}).ServeHTTP(w, r)
		if w.Code < 200 || w.Code > 499 {
			t.Fatalf("%s %s: %d", method, path, w.Code)
		}
	})
}

// BenchmarkInvoke is one invocation over a connection that is kept, without a process.
func BenchmarkInvoke(b *testing.B) {
	e := runtimeapi.New(runtimeapi.Config{})
	host := httptest.NewServer(e)
	defer host.Close()
	ctx, cancel := context.WithCancel(b.Context())
	go func() {
		for ctx.Err() == nil {
			r, _ := http.NewRequestWithContext(ctx, http.MethodGet, host.URL+next, nil)
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			r, _ = http.NewRequestWithContext(ctx, http.MethodPost, host.URL+base+"one/response", strings.NewReader("{}"))
			if answer, err = http.DefaultClient.Do(r); err == nil {
				_, _ = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
		}
	}()
	for b.Loop() {
		if _, err := e.Invoke(ctx, runtimeapi.Invocation{ID: "one", Payload: []byte(`{}`)}); err != nil {
			b.Fatal(err)
		}
	}
	cancel()
}

func TestShutdown_leavesTheRuntimeWaiting(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.host.URL+next, nil)
		if err == nil {
			var answer *http.Response
			if answer, err = http.DefaultClient.Do(r); err == nil {
				answer.Body.Close()
			}
		}
		asked <- err
	}()
	if err := b.env.Ready(t.Context().Done()); err != nil {
		t.Fatal(err)
	}
	if told := b.env.Shutdown("spindown", time.Now()); told != 0 {
		t.Errorf("%d are told", told)
	}
	if b.env.Gone() == nil {
		t.Error("it takes more work")
	}
	cancel() // as its process ends
	if err := <-asked; !errors.Is(err, context.Canceled) {
		t.Errorf("it was answered: %v", err)
	}
}
