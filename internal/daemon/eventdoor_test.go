package daemon

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestEventDoor_leadsToTheNextNode: what a process sends over a connection to a node that
// has handed over is answered by the next.
func TestEventDoor_leadsToTheNextNode(t *testing.T) {
	t.Parallel()
	answer := func(who string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			fmt.Fprint(w, who, " ", r.Host, " ", r.URL.Path, " ", string(b))
		})
	}
	next := httptest.NewServer(answer("next"))
	defer next.Close()
	gone := make(chan struct{})
	d := newEventDoor(answer("own"), func() string { return strings.TrimPrefix(next.URL, "http://") }, func() <-chan struct{} { return gone })
	door := httptest.NewServer(d)
	defer door.Close()
	send := func() string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, door.URL+"/a", strings.NewReader("event"))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "127.0.0.1:7"
		res, err := door.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if got := send(); got != "own 127.0.0.1:7 /a event" {
		t.Error(got)
	}
	d.leave()
	close(gone)
	if got := send(); got != "next 127.0.0.1:7 /a event" {
		t.Error(got)
	}
}
