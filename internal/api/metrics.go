package api

import (
	"context"
	"io"
	"net/http"
	"time"
)

// scrapeTime is how long the node may take to tell its metrics: as long as Prometheus
// waits for them when nothing else is said.
const scrapeTime = 10 * time.Second

// metrics passes on what the node has counted. Prometheus asks at /metrics where it is told
// nothing else.
func (s *server) metrics(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), scrapeTime)
	defer cancel()
	contentType, body, err := s.Node.Metrics(ctx, r.Header.Get("Accept"))
	if err != nil {
		writeProblem(w, problem(http.StatusServiceUnavailable, "T0805", "the node cannot be asked for its metrics: "+err.Error()))
		return
	}
	defer body.Close()
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.Copy(w, body) // its head has been sent: an error can only end it
}
