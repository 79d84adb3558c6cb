package daemon

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
)

// At a take-over of the sockets a client may have connected and not sent its
// request yet.
func TestServeHTTP_answersWhoHasConnectedBeforeTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		l := make(pipes)
		ended := make(chan error, 1)
		go func() {
			ended <- serveHTTP(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
		}()
		ours, theirs := net.Pipe()
		l <- theirs
		synctest.Wait() // it has been accepted, and waits to be asked
		end()
		synctest.Wait() // nobody else is accepted
		fmt.Fprint(ours, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(ours), nil)
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
	})
}
