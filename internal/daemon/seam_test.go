package daemon

import (
	"context"
	"fmt"
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

	"titrate/internal/cgroup"
	"titrate/internal/controller/seamtest"
	"titrate/internal/engine"
	"titrate/internal/gateway"
	"titrate/internal/keeper"
	"titrate/internal/node"
	"titrate/internal/rollout"
	"titrate/internal/target/local"
	"titrate/internal/world"
)

// The test program plays the launcher, the workload and the node.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case local.LaunchCommand:
			_ = local.Launch() // told to the supervisor
			os.Exit(126)
		case "__node":
			err := Node(context.Background(), NodeConfig{Dir: os.Args[2], Sockets: os.Getenv(keeper.SocketsVar), Log: nodeLog()})
			fmt.Println(err)
			os.Exit(1)
		case "serve":
			err := http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			panic(err)
		case "serve-long":
			err := http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), new(longService))
			panic(err)
		}
	}
	os.Exit(m.Run())
}

var artifact = strings.Repeat("a1", 32) // a digest

// dataFolder prepares a data folder with a short path: a socket's has 107 bytes.
func dataFolder(t *testing.T) folder {
	t.Helper()
	base, err := os.MkdirTemp("", "t")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	if err := folder(base).prepare(); err != nil {
		t.Fatal(err)
	}
	return folder(base)
}

// openNode runs a real node — gateway, supervisor and protocol — and returns what
// the controller sees of it.
func openNode(t *testing.T) seamtest.World {
	t.Helper()
	dir := dataFolder(t)
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
	none, err := engine.Seek(engine.None)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMachine(dir, internal.Addr().(*net.TCPAddr).Port, HTTPS{}, "", none, cgroup.Unit{}, gateway.Config{}, log)
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
		"gateway": func(ctx context.Context) error {
			return m.gateway.Serve(ctx, gateway.Listeners{Public: public, Internal: internal})
		},
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
	answers(t, c)
	return seamtest.World{
		Target: c, Router: c, Meter: c,
		Fleet: func(_ rollout.Key, v rollout.Version) world.Fleet {
			return world.Fleet{Version: v, Artifact: artifact, Command: []string{"app", "serve"}, Health: "/", StartTimeout: time.Minute, Drain: time.Second}
		},
		Send: func(_ rollout.Key, n int) { send(t, public.Addr().String(), n) },
	}
}

// answers waits until the node does.
func answers(t *testing.T, c *node.Client) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		_, err := c.Served(t.Context())
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the node does not answer", err)
		}
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
