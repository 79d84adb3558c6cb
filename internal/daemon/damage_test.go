package daemon

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"titrate/internal/cgroup"
	"titrate/internal/engine"
	"titrate/internal/gateway"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// TestR26_aCutNeedsNoServerAndOutlivesTheNode breaks requests at a node that no server
// asks anything.
func TestR26_aCutNeedsNoServerAndOutlivesTheNode(t *testing.T) {
	t.Parallel()
	none, err := engine.Seek(engine.None)
	if err != nil {
		t.Fatal(err)
	}
	dir := dataFolder(t)
	internal, err := gateway.ListenInternal(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	public, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	start := func() *machine {
		m, err := newMachine(dir, internal.Addr().(*net.TCPAddr).Port, HTTPS{}, "", none, cgroup.Unit{}, gateway.Config{}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := start()
	k := rollout.Key{App: "cofe", Env: "production", Workload: "orders"}
	w := world.Workload{
		Key: k, Routes: []string{"/"}, Stable: 1, Rollout: 7, Attempt: 1, Damage: rollout.Damage{Requests: 3},
		Fleets: []world.Fleet{{Version: 1, Count: 1, Artifact: artifact, Command: []string{"app"}}, {Version: 2, Count: 1, Artifact: artifact, Command: []string{"app"}}}, Split: []world.Share{{Version: 2, Weight: rollout.Full}},
	}
	if err := m.Take(t.Context(), world.Wanted{Stamp: world.Stamp{Token: 1, Revision: 1}, Workloads: []world.Workload{w}}); err != nil {
		t.Fatal(err)
	}
	for v, status := range map[rollout.Version]int{1: 200, 2: 500} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(s.Close)
		m.gateway.SetInstances(k, v, []gateway.Endpoint{{ID: v.String(), Addr: strings.TrimPrefix(s.URL, "http://")}})
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- m.gateway.Serve(ctx, gateway.Listeners{Public: public, Internal: internal}) }()
	for n := range 6 {
		res, err := http.Post("http://"+public.Addr().String()+"/", "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if want := map[bool]int{true: 500, false: 200}[n < 3]; res.StatusCode != want {
			t.Errorf("request %d is answered with %d, want %d", n, res.StatusCode, want)
		}
	}
	cut := func(m *machine) bool {
		cuts := m.cuts()
		return len(cuts) == 1 && cuts[0].Rollout == 7 && cuts[0].Attempt == 1 && cuts[0].Served == 3
	}
	if !cut(m) {
		t.Errorf("seen is %+v", m.cuts())
	}
	for deadline := time.Now().Add(time.Minute); ; {
		kept, err := m.snapshot.Load()
		if err == nil && len(kept.Damage) == 1 && !kept.Damage[0].Cut.IsZero() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the snapshot has %+v, %v", kept.Damage, err)
		}
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := m.events.Close(); err != nil {
		t.Fatal(err)
	}

	next := start()
	t.Cleanup(func() { next.events.Close() })
	if share, ok := next.gateway.Served().Of(k, 2); !ok || share != 0 || !cut(next) {
		t.Errorf("the next process gives the candidate %s; it knows of %+v", share, next.cuts())
	}
	// What a server says later lifts nothing.
	w.Damage = rollout.Damage{}
	if err := next.Take(t.Context(), world.Wanted{Stamp: world.Stamp{Token: 2, Revision: 1}, Workloads: []world.Workload{w}}); err != nil {
		t.Fatal(err)
	}
	if share, _ := next.gateway.Served().Of(k, 2); share != 0 || !cut(next) {
		t.Errorf("a later world gives the candidate %s", share)
	}
}
