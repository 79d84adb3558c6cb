package api

import (
	"net/http"
	"strings"
	"testing"
)

// Metrics answers as the gateway's does: in the format that is accepted.
func (*machine) Metrics() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("Accept"))
		_, _ = w.Write([]byte("up 1\n"))
	})
}

func TestMetrics_nobodyGetsInWithoutACredential(t *testing.T) {
	t.Parallel()
	i := install(t)
	for _, credential := range []string{"", "Bearer wrong", "Bearer "} {
		if rec := i.ask(http.MethodGet, "/metrics", credential); rec.Code != http.StatusUnauthorized || strings.Contains(rec.Body.String(), "up 1") {
			t.Errorf("with %q it answers %d %s", credential, rec.Code, rec.Body)
		}
	}
	rec := i.ask(http.MethodGet, "/metrics", "Bearer "+token)
	if rec.Code != http.StatusOK || rec.Body.String() != "up 1\n" {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}
