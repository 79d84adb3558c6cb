package daemon

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"
)

// At a take-over of the sockets a client may have connected and not sent its
// request yet.
func TestServeHTTP_answersWhoHasConnectedBeforeTheEnd(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- serveHTTP(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	}()
	first, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if resp, err := http.Get("http://" + l.Addr().String()); err != nil || resp.Body.Close() != nil { // so the first has been accepted
		t.Fatal(err)
	}
	end()
	for { // until nobody else can connect
		c, err := net.DialTimeout("tcp", l.Addr().String(), time.Second)
		if err != nil {
			break
		}
		c.Close()
	}
	fmt.Fprint(first, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(first), nil)
	if err != nil {
		t.Fatalf("the request of an accepted connection was dropped: %v", err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !resp.Close {
		t.Errorf("%s, close %t", resp.Status, resp.Close)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
