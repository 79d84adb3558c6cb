package daemon

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"titrate/internal/controller/seamtest"
	"titrate/internal/gateway"
	"titrate/internal/node"
	"titrate/internal/rollout"
	"titrate/internal/target/local"
	"titrate/internal/world"
)

// The test program plays the launcher and the workload.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case local.LaunchCommand:
			_ = local.Launch() // told to the supervisor
			os.Exit(126)
		case "serve":
			err := http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			panic(err)
		}
	}
	os.Exit(m.Run())
}

var artifact = strings.Repeat("a1", 32) // a digest

// openNode runs a real node — gateway, supervisor and protocol — and returns what
// the controller sees of it.
func openNode(t *testing.T) seamtest.World {
	t.Helper()
	base, err := os.MkdirTemp("", "t") // a socket's path is at most 107 bytes long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	dir := folder(base)
	if err := dir.prepare(); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir.artifacts(), artifact), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "cp", program, filepath.Join(dir.artifacts(), artifact, "app")).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	var lc net.ListenConfig
	public, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	internal, err := gateway.ListenInternal(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	m, err := newMachine(dir, internal.Addr().(*net.TCPAddr).Port, log)
	if err != nil {
		t.Fatal(err)
	}
	token, err := dir.nodeToken()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := newParts(log)
	for name, run := range map[string]func(context.Context) error{
		"supervisor": m.supervisor.Run,
		"observer":   m.observe,
		"protocol":   func(ctx context.Context) error { return serveUnix(ctx, dir.nodeSocket(), node.NewHandler(m, token)) },
		"gateway":    func(ctx context.Context) error { return m.gateway.Serve(ctx, public, internal) },
	} {
		p.start(ctx, name, run)
	}
	t.Cleanup(func() {
		stopping, done := context.WithTimeout(context.Background(), 5*time.Second)
		defer done()
		_ = m.supervisor.Stop(stopping) // what outlives the deadline is killed
		cancel()
		if err := p.err(); err != nil {
			t.Log(err)
		}
	})
	c := node.NewClient(dir.nodeSocket(), token)
	for deadline := time.Now().Add(20 * time.Second); ; {
		if _, err := c.Served(t.Context()); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal("the node does not answer", err)
		}
	}
	return seamtest.World{
		Target: c, Router: c, Meter: c,
		Fleet: func(_ rollout.Key, v rollout.Version) world.Fleet {
			return world.Fleet{Version: v, Artifact: artifact, Command: []string{"app", "serve"}, Health: "/", StartTimeout: 20 * time.Second, Drain: time.Second}
		},
		Send: func(_ rollout.Key, n int) { send(t, public.Addr().String(), n) },
	}
}

func send(t *testing.T, addr string, n int) {
	t.Helper()
	for range n {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/", strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "web.localhost"
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("the gateway answered %s", resp.Status)
		}
	}
}

// TestNode_passesTheSeamSuites holds the real node to what the controller may
// expect of any.
func TestNode_passesTheSeamSuites(t *testing.T) {
	t.Parallel()
	seamtest.Run(t, openNode)
}
