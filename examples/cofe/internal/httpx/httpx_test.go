package httpx_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"titrate/examples/cofe/internal/httpx"
	"titrate/internal/porttest"
)

func TestClient_repeatsOnlyWhatIsSafe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		call   httpx.Call
		status int
		want   int64
	}{
		"a read":                        {httpx.Call{Method: http.MethodGet}, 503, 4},
		"an effect with a key":          {httpx.Call{Method: http.MethodPost, Key: "k", Send: 1}, 502, 4},
		"an effect without one":         {httpx.Call{Method: http.MethodPost, Send: 1}, 503, 1},
		"a refusal":                     {httpx.Call{Method: http.MethodPost, Key: "k"}, 409, 1},
		"what broke inside the service": {httpx.Call{Method: http.MethodGet}, 500, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				httpx.Error(w, c.status, "no")
			}))
			t.Cleanup(server.Close)
			client := httpx.NewClient("test")
			t.Cleanup(client.Close)
			c.call.URL = server.URL
			err := client.Do(t.Context(), c.call)
			var status *httpx.StatusError
			if !errors.As(err, &status) || status.Status != c.status || status.Sentence != "no" {
				t.Errorf("error %v", err)
			}
			if n := asked.Load(); n != c.want {
				t.Errorf("asked %d times, want %d", n, c.want)
			}
		})
	}
}

func TestRequestID_travelsAndIsLogged(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&logged, nil))
	var seen string
	behind := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.Header.Get(httpx.RequestID) }))
	t.Cleanup(behind.Close)
	client := httpx.NewClient("test")
	t.Cleanup(client.Close)
	h := httpx.Wrap(httpx.Info{Version: "v7"}, log, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := client.Do(r.Context(), httpx.Call{Method: http.MethodGet, URL: behind.URL}); err != nil {
			t.Error(err)
		}
	}))
	for given, kept := range map[string]bool{"load-1.a_B": true, "": false, "has space": false, strings.Repeat("x", 65): false, "a\"b": false} {
		logged.Reset()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", nil)
		r.Header.Set(httpx.RequestID, given)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		id := w.Header().Get(httpx.RequestID)
		if (id == given) != kept || id == "" || seen != id {
			t.Errorf("%q became %q here and %q behind", given, id, seen)
		}
		var line struct {
			ID     string `json:"request_id"`
			Status int
		}
		if err := json.Unmarshal(logged.Bytes(), &line); err != nil || line.ID != id || line.Status != 200 {
			t.Errorf("logged %s (%v)", logged.String(), err)
		}
		if v := w.Header().Get("Titrate-Version"); v != "v7" {
			t.Errorf("version %q", v)
		}
	}
}

func TestWrap_answersAPanicAndSaysWhere(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	h := httpx.Wrap(httpx.Info{}, slog.New(slog.NewJSONHandler(&logged, nil)), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		quantities(0)["x"]++
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", nil))
	if w.Code != http.StatusInternalServerError {
		t.Errorf("status %d", w.Code)
	}
	if log := logged.String(); !strings.Contains(log, "assignment to entry in nil map") || !strings.Contains(log, `"at":"httpx_test.go:`) {
		t.Errorf("logged %s", log)
	}
}

// quantities returns nil for an empty cart: what a program may get wrong.
func quantities(items int) map[string]int {
	if items == 0 {
		return nil
	}
	return make(map[string]int, items)
}

func TestServe_finishesWhatItHasBegun(t *testing.T) {
	t.Parallel()
	begun, goOn := make(chan struct{}), make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	address := make(chan string, 1)
	ended := make(chan error, 1)
	free := porttest.Addr(t)
	go func() {
		address <- free
		ended <- httpx.Serve(ctx, free, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(begun)
			<-goOn
			httpx.JSON(w, http.StatusOK, "done")
		}))
	}()
	answered := make(chan error, 1)
	client := httpx.NewClient("test")
	t.Cleanup(client.Close)
	url := "http://" + <-address
	go func() {
		answered <- client.Do(context.WithoutCancel(ctx), httpx.Call{Method: http.MethodGet, URL: url})
	}()
	select {
	case <-begun:
	case <-time.After(time.Minute):
		t.Fatal("the request did not arrive")
	}
	stop()
	select {
	case err := <-ended:
		t.Fatalf("ended with a request in progress: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(goOn)
	if err := <-answered; err != nil {
		t.Errorf("the request in progress: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("serve: %v", err)
	}
}
