package client_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"titrate/client"
)

// The keeper holds the server's socket: while the server fails to start, clients
// are taken into the backlog and hear nothing.
func TestClient_saysThatTheServerIsSilent(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := client.Client{URL: "http://" + l.Addr().String(), Token: "x", Patience: 50 * time.Millisecond}
	_, err = c.Apps(t.Context())
	if !errors.Is(err, client.ErrSilent) || !strings.Contains(err.Error(), c.URL) {
		t.Errorf("got %v", err)
	}
}
