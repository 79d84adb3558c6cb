package runtimeapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"titrate/internal/target/local/runtimeapi"
)

// served is an environment on a server of its own.
func served(tb testing.TB) (*runtimeapi.Environment, string) {
	tb.Helper()
	e := runtimeapi.New(runtimeapi.Config{NewID: newID()})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := runtimeapi.NewServer(e, time.Minute)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(l) }()
	tb.Cleanup(func() { s.Close(); <-ended })
	return e, l.Addr().String()
}

// runtime speaks to a server by hand.
type handmade struct {
	net.Conn
	in *bufio.Reader
}

func byHand(t *testing.T, at string) *handmade {
	t.Helper()
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return &handmade{c, bufio.NewReader(c)}
}

func (h *handmade) say(t *testing.T, text string) (status int, header http.Header, body string) {
	t.Helper()
	if text != "" {
		if _, err := io.WriteString(h, text); err != nil {
			t.Fatal(err)
		}
	}
	res, err := http.ReadResponse(h.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

const asks = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"

func answersWith(id, body string, more ...string) string {
	return fmt.Sprintf("POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", id, strings.Join(more, ""), len(body), body)
}

// begin has an invocation begin; its outcome comes later.
func begin(t *testing.T, e *runtimeapi.Environment, id, payload string) chan string {
	t.Helper()
	ended := make(chan string, 1)
	go func() {
		a, err := e.Invoke(t.Context(), runtimeapi.Invocation{ID: id, Payload: []byte(payload), ARN: "arn:x", TraceID: "Root=1", Deadline: time.UnixMilli(42)})
		if err != nil {
			ended <- err.Error()
			return
		}
		body, err := io.ReadAll(a.Body)
		ended <- fmt.Sprintf("%s %s %v", a.ContentType, body, err)
	}()
	return ended
}

func TestServer_servesEachInvocationOnOneConnection(t *testing.T) {
	t.Parallel()
	e, at := served(t)
	h := byHand(t, at)
	for i := range 3 {
		id, payload := fmt.Sprintf("id-%d", i), strings.Repeat("x", i*100_000)+`{}`
		got := begin(t, e, id, payload)
		status, header, body := h.say(t, asks)
		if status != 200 || body != payload || header.Get("Lambda-Runtime-Aws-Request-Id") != id || header.Get("Lambda-Runtime-Deadline-Ms") != "42" ||
			header.Get("Lambda-Runtime-Trace-Id") != "Root=1" || header.Get("Lambda-Runtime-Invoked-Function-Arn") != "arn:x" {
			t.Fatalf("%d %v %.80s", status, header, body)
		}
		answer := strings.Repeat("y", i*100_000)
		if status, _, body := h.say(t, answersWith(id, answer, "Content-Type: text/x\r\n")); status != 202 || body != "{\"status\":\"OK\"}\n" {
			t.Fatalf("%d %s", status, body)
		}
		if text := <-got; text != "text/x "+answer+" <nil>" {
			t.Fatalf("%.80s", text)
		}
	}
}

func TestServer_leavesWhatIsUnusualToNetHTTP(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"chunked": "POST /2018-06-01/runtime/invocation/one/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbeans\r\n0\r\n\r\n",
		"stream":  answersWith("one", "beans", "Lambda-Runtime-Function-Response-Mode: streaming\r\n"),
		"expect":  answersWith("one", "beans", "Expect: 100-continue\r\n"),
		"plain":   answersWith("one", "beans"),
	} {
		e, at := served(t)
		got := begin(t, e, "one", "{}")
		h := byHand(t, at)
		if status, _, _ := h.say(t, asks); status != 200 {
			t.Fatalf("%s: %d", name, status)
		}
		_, _ = io.WriteString(h, answer)
		if text := <-got; text != " beans <nil>" {
			t.Errorf("%s: %q", name, text)
		}
	}
	e, at := served(t)
	got := begin(t, e, "one", "{}")
	h := byHand(t, at)
	h.say(t, asks)
	if status, _, _ := h.say(t, strings.Replace(answersWith("one", `{"errorType":"E","errorMessage":"m"}`), "/response", "/error", 1)); status != 202 {
		t.Errorf("%d", status)
	}
	if text := <-got; text != "E: m" {
		t.Errorf("%q", text)
	}
}

func TestServer_refusesWhatIsOutOfTurn(t *testing.T) {
	t.Parallel()
	e, at := served(t)
	got := begin(t, e, "one", "{}")
	h := byHand(t, at)
	h.say(t, asks)
	for text, want := range map[string]int{answersWith("other", "x"): 400, asks: 403} {
		if status, _, _ := h.say(t, text); status != want {
			t.Errorf("%.60q: %d, not %d", text, status, want)
		}
	}
	if status, _, _ := h.say(t, answersWith("one", "x")); status != 202 {
		t.Errorf("%d", status)
	}
	if status, _, _ := h.say(t, answersWith("one", "x")); status != 400 {
		t.Errorf("a second answer: %d", status)
	}
	<-got
	huge := "POST /2018-06-01/runtime/invocation/two/response HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"
	got = begin(t, e, "two", "{}")
	h.say(t, asks)
	_, _ = io.WriteString(h, huge+strings.Repeat("x", runtimeapi.MaxPayload+1))
	if text := <-got; !strings.Contains(text, "ResponseSizeTooLarge") {
		t.Errorf("%q", text)
	}
}

// TestServer_aRuntimeMayAskOnAnotherConnection has one close its connection while it waits:
// what asks next gets the event.
func TestServer_aRuntimeMayAskOnAnotherConnection(t *testing.T) {
	t.Parallel()
	e, at := served(t)
	first := byHand(t, at)
	_, _ = io.WriteString(first, asks)
	if err := e.Ready(t.Context().Done()); err != nil {
		t.Fatal(err)
	}
	second := byHand(t, at)
	if status, _, _ := second.say(t, asks); status != 403 {
		t.Errorf("two wait for events: %d", status)
	}
	first.Close()
	got := begin(t, e, "one", "{}") // may come before the close is seen
	third := byHand(t, at)
	for {
		status, header, _ := third.say(t, asks)
		if status == 200 {
			if header.Get("Lambda-Runtime-Aws-Request-Id") != "one" {
				t.Errorf("%v", header)
			}
			break
		}
	}
	third.say(t, answersWith("one", "x"))
	if text := <-got; text != " x <nil>" {
		t.Errorf("%q", text)
	}
}

func TestServer_endsWithItsConnections(t *testing.T) {
	t.Parallel()
	e := runtimeapi.New(runtimeapi.Config{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := runtimeapi.NewServer(e, time.Minute)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(l) }()
	waits, moved := byHand(t, l.Addr().String()), byHand(t, l.Addr().String())
	_, _ = io.WriteString(waits, asks)
	if err := e.Ready(t.Context().Done()); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := moved.say(t, "GET /else HTTP/1.1\r\nHost: x\r\n\r\n"); status != 404 {
		t.Errorf("%d", status)
	}
	e.Shutdown("spindown", time.Now())
	s.Close()
	<-ended
	for _, c := range []*handmade{waits, moved} {
		if _, err := c.in.ReadByte(); err == nil {
			t.Error("a connection lives on")
		}
	}
}

// BenchmarkServer is one invocation over a connection that is kept, without a process: the
// client is net/http's, as AWS's own for Go.
func BenchmarkServer(b *testing.B) {
	e, at := served(b)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	ask := func(method, path, body string) error {
		r, err := http.NewRequestWithContext(ctx, method, "http://"+at+path, strings.NewReader(body))
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		_, err = io.Copy(io.Discard, answer.Body)
		return err
	}
	go func() {
		for ctx.Err() == nil {
			if err := ask(http.MethodGet, next, ""); err != nil {
				return
			}
			_ = ask(http.MethodPost, base+"one/response", "{}")
		}
	}()
	for b.Loop() {
		if _, err := e.Invoke(ctx, runtimeapi.Invocation{ID: "one", Payload: []byte(`{}`)}); err != nil && !errors.Is(err, context.Canceled) {
			b.Fatal(err)
		}
	}
}
