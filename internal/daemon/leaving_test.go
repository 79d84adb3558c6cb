package daemon

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"titrate/internal/cgroup"
	"titrate/internal/engine"
	"titrate/internal/gateway"
	"titrate/internal/node"
	"titrate/internal/rollout"
	"titrate/internal/target/local"
	"titrate/internal/world"
)

// leavingNode is a node that leaves, with the worlds of which the next one tells it.
func leavingNode(t *testing.T) (m *machine, next *before, public string) {
	t.Helper()
	dir := dataFolder(t)
	none, err := engine.Seek(engine.None)
	if err != nil {
		t.Fatal(err)
	}
	machineOf := func() *machine {
		m, err := newMachine(dir, 1, HTTPS{}, "", none, cgroup.Unit{}, gateway.Config{}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m = machineOf()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	end := &leaving{m: m}
	on, err := listenUnix(t.Context(), dir.leavingSocket())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := newParts(slog.New(slog.DiscardHandler))
	p.start(ctx, "gateway", func(ctx context.Context) error { return m.gateway.Serve(ctx, gateway.Listeners{Public: l}) })
	p.start(ctx, "word", func(ctx context.Context) error { return serveHTTP(ctx, on, node.NewLeavingHandler(end, "token")) })
	t.Cleanup(func() { cancel(); p.wait() })
	if err := m.events.Close(); err != nil { // the next one has them
		t.Fatal(err)
	}
	after := machineOf()
	t.Cleanup(func() { after.events.Close() })
	after.before.find(t.Context(), dir, "token")
	return m, after.before, l.Addr().String()
}

// TestR5_ANodeThatLeavesDrawsWhatTheNextOneFindsReady: a version that was started since gets
// all traffic, and the next one's table is followed.
func TestR5_ANodeThatLeavesDrawsWhatTheNextOneFindsReady(t *testing.T) {
	t.Parallel()
	_, next, public := leavingNode(t)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "new") }))
	defer service.Close()
	next.ready(t.Context(), web, 2, []local.Endpoint{{Instance: "web-v2-a", Addr: strings.TrimPrefix(service.URL, "http://")}})
	next.follow(t.Context(), world.Wanted{Stamp: world.Stamp{Token: 1, Revision: 1}, Workloads: []world.Workload{{
		Key: web, Hosts: []string{"web.localhost"}, Fleets: []world.Fleet{{Version: 2, Count: 1}}, Split: []world.Share{{Version: 2, Weight: rollout.Full}},
	}}})
	send(t, public, 1)
}

// TestR17_ANodeThatLeavesKeepsItsFunctions, whose next versions it could not call.
func TestR17_ANodeThatLeavesKeepsItsFunctions(t *testing.T) {
	t.Parallel()
	m, next, public := leavingNode(t)
	service := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer service.Close()
	quotes := rollout.Key{App: "web", Env: "production", Workload: "quotes"}
	at := func(revision uint64, all rollout.Version) world.Wanted {
		var w world.Workload
		w.Key, w.Hosts, w.Split = quotes, []string{"web.localhost"}, []world.Share{{Version: all, Weight: rollout.Full}}
		w.Fleets = []world.Fleet{{Version: all, Function: &rollout.Function{Handler: "h"}}}
		return world.Wanted{Stamp: world.Stamp{Token: 1, Revision: revision}, Workloads: []world.Workload{w}}
	}
	m.mu.Lock()
	m.wanted = at(1, 1)
	m.mu.Unlock()
	next.follow(t.Context(), at(2, 2))
	if w, _ := m.gateway.Served().Of(quotes, 1); w != rollout.Full || m.gateway.Served().Stamp.Revision != 2 {
		t.Errorf("it serves %+v", m.gateway.Served())
	}
	m.gateway.SetInstances(quotes, 1, []gateway.Endpoint{{ID: "quotes-v1", Addr: strings.TrimPrefix(service.URL, "http://")}})
	next.ready(t.Context(), quotes, 1, nil) // it is retired there
	send(t, public, 1)
	next.follow(t.Context(), world.Wanted{Stamp: world.Stamp{Token: 1, Revision: 3}})
	if w, _ := m.gateway.Served().Of(quotes, 1); w != 0 {
		t.Errorf("it serves %+v", m.gateway.Served())
	}
}
