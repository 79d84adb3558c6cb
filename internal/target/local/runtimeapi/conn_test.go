package runtimeapi

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestConn_answersInChunksStay with the server that reads and writes itself: AWS's library
// for Go sends all of its answers so, with the names of trailers that may follow.
func TestConn_answersInChunksStay(t *testing.T) {
	t.Parallel()
	e := New(Config{})
	on, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(e, time.Minute)
	go s.Serve(on)
	t.Cleanup(s.Close)
	c, err := net.Dial("tcp", on.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	say := func(request string) int {
		for b := []byte(request); len(b) > 0; { // in pieces
			n, err := c.Write(b[:min(len(b), 1+len(b)/3)])
			if err != nil {
				t.Fatal(err)
			}
			b = b[n:]
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		return res.StatusCode
	}
	long := strings.Repeat("b", 100_000)
	var failed *InvocationError
	for _, one := range []struct{ body, want string }{
		{"5\r\nbeans\r\n0\r\n\r\n", "beans"},
		{fmt.Sprintf("5\r\nbeans\r\n%x\r\n%s\r\n0\r\n\r\n", len(long), long), "beans" + long},
		{"0\r\nLambda-Runtime-Function-Error-Type: TypeError\r\nLambda-Runtime-Function-Error-Body: " + base64.StdEncoding.EncodeToString([]byte(`{"errorType":"TypeError","errorMessage":"no beans"}`)) + "\r\n\r\n", ""},
		{"2\r\n{}\r\n0\r\n\r\n", "{}"},
	} {
		got := make(chan string, 1)
		e.Begin(t.Context(), Invocation{ID: "one", Payload: []byte(`{}`), Deadline: time.Now().Add(time.Minute)}, func(a *Answer, err error) {
			if errors.As(err, &failed) {
				got <- ""
				return
			}
			body, _ := io.ReadAll(a.Body)
			got <- a.ContentType + string(body)
		})
		if status := say("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"); status != 200 {
			t.Fatal(status)
		}
		if status := say("POST /2018-06-01/runtime/invocation/one/response HTTP/1.1\r\nHost: x\r\nContent-Type: t/\r\nTransfer-Encoding: chunked\r\nTrailer: Lambda-Runtime-Function-Error-Type,Lambda-Runtime-Function-Error-Body\r\n\r\n" + one.body); status != 202 {
			t.Fatal(status)
		}
		if text := <-got; one.want != "" && text != "t/"+one.want {
			t.Errorf("%.40q, want %.40q", text, one.want)
		}
		s.mu.Lock()
		open := len(s.open)
		s.mu.Unlock()
		if open != 1 {
			t.Errorf("after %.20q the connection was given to net/http", one.body)
		}
	}
	if failed == nil || failed.Type != "TypeError" || failed.Message != "no beans" {
		t.Errorf("the error behind the body: %+v", failed)
	}
}

// TestBegin_doesNotWait for a runtime that does not read: a large event is on its way when
// it returns.
func TestBegin_doesNotWait(t *testing.T) {
	t.Parallel()
	e := New(Config{})
	ours, theirs := net.Pipe() // takes nothing before it is read
	defer theirs.Close()
	go e.serve(ours)
	if _, err := io.WriteString(theirs, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := e.Ready(t.Context().Done()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	e.Begin(ctx, Invocation{ID: "one", Payload: []byte(strings.Repeat("x", 1<<20))}, func(_ *Answer, err error) { ended <- err })
	res, err := http.ReadResponse(bufio.NewReader(theirs), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); err != nil || len(body) != 1<<20 {
		t.Fatal(len(body), err)
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("an invocation that was ended has not failed")
	}
}

// TestBegin_whoseTimeIsOver ends, whichever comes first: its end or its beginning.
func TestBegin_whoseTimeIsOver(t *testing.T) {
	t.Parallel()
	over, stop := context.WithCancel(t.Context())
	stop()
	for range 2000 {
		e := New(Config{}) // whose runtime never asks for work
		ended := make(chan error, 1)
		e.Begin(over, Invocation{ID: "late", Payload: []byte(`{}`)}, func(_ *Answer, err error) { ended <- err })
		select {
		case err := <-ended:
			if !errors.Is(err, ErrBusy) {
				t.Fatalf("%v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the call is never answered")
		}
	}
}
