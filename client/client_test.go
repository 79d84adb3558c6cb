package client_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
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

func TestEvents_goOnFromWhereAResetLeads(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("Last-Event-ID")
		fmt.Fprint(w, "id: 5\nevent: reset\ndata: {\"id\": 5, \"kind\": \"reset\"}\n\n")
	}))
	defer web.Close()
	c := client.Client{URL: web.URL, Token: "x"}
	times := 0
	err := c.Events(t.Context(), 900, func(e client.Event) bool {
		times++
		if e.Kind != client.EventReset || e.ID != 5 {
			t.Errorf("got %+v", e)
		}
		return times < 2
	})
	if first, second := <-asked, <-asked; err != nil || first != "900" || second != "5" {
		t.Errorf("asked for what is after %s and then %s: %v", first, second, err)
	}
}
