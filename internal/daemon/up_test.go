package daemon

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"titrate/internal/node"
)

func TestDown_soonAfterUpWaitsForTheNodeThatHasJustBeenStarted(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- stopWorkloads(ctx, node.NewClient(dir.nodeSocket(), "token")) }() // there is no socket yet
	var asked atomic.Int64
	serving, end := context.WithCancel(t.Context())
	p := newParts(nil)
	p.start(serving, "node", func(ctx context.Context) error {
		return serveUnix(ctx, dir.nodeSocket(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if asked.Add(1) == 1 {
				w.WriteHeader(http.StatusInternalServerError)
				_, _ = io.WriteString(w, `{"error": "the supervisor does not run"}`)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		}))
	})
	if err := <-stopped; err != nil || asked.Load() != 2 {
		t.Errorf("asked %d times: %v", asked.Load(), err)
	}
	end()
	p.wait()
}

func TestDown_saysWhyTheNodeCouldNotBeAsked(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := stopWorkloads(ctx, node.NewClient(dataFolder(t).nodeSocket(), "token")); err == nil {
		t.Error("nothing was stopped, and nothing is said")
	}
}
