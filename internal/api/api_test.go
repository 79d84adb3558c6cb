package api

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"titrate/client"
	"titrate/internal/analysis"
	"titrate/internal/auth"
	"titrate/internal/controller"
	"titrate/internal/manifest"
	"titrate/internal/node"
	"titrate/internal/rollout"
	"titrate/internal/secrets"
	"titrate/internal/store"
	"titrate/internal/world"
)

var update = flag.Bool("update", false, "write golden files anew")

const token = "titrate_TEST"

// machine is a node on which everything is ready at once.
type machine struct {
	mu      sync.Mutex
	wanted  world.Wanted
	seen    uint64
	changed chan struct{}
	fake    fakeCalls
}

func (m *machine) Take(_ context.Context, w world.Wanted) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w.Stamp.Less(m.wanted.Stamp) {
		return world.ErrStale
	}
	if w.Stamp != m.wanted.Stamp {
		m.wanted = w
		m.seen++
		close(m.changed)
		m.changed = make(chan struct{})
	}
	return nil
}

func (m *machine) Seen(ctx context.Context, after uint64) world.Seen {
	for {
		m.mu.Lock()
		seen, changed := m.look(), m.changed
		m.mu.Unlock()
		if seen.Sequence > after {
			return seen
		}
		select {
		case <-ctx.Done():
			return seen
		case <-changed:
		}
	}
}

func (m *machine) look() world.Seen {
	now := time.Now()
	s := world.Seen{Sequence: m.seen, Epoch: "test", Started: now, Stamp: m.wanted.Stamp, Served: m.wanted.Stamp, Since: now, Sandbox: []string{"nothing is confined here"}}
	for _, w := range m.wanted.Workloads {
		for _, f := range w.Fleets {
			one := world.FleetSeen{Key: w.Key, Version: f.Version, Ready: f.Count}
			for _, sh := range w.Split {
				if sh.Version == f.Version {
					one.Weight = sh.Weight
				}
			}
			s.Fleets = append(s.Fleets, one)
			s.Instances = append(s.Instances, world.Instance{ID: w.Key.Workload + "-" + f.Version.String(), Key: w.Key, Version: f.Version, State: world.InstanceReady, Since: now})
		}
	}
	return s
}

func (m *machine) Served() world.Served {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := world.Served{Stamp: m.wanted.Stamp, Since: time.Now(), Split: map[string][]world.Share{}}
	for _, w := range m.wanted.Workloads {
		s.Split[w.Key.String()] = w.Split
	}
	return s
}

// Windows closes ten a second, each with requests that all went well.
func (m *machine) Windows(ctx context.Context, _ uint64) []world.VersionWindow {
	const length = 100 * time.Millisecond
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(length):
	}
	now := time.Now()
	var out []world.VersionWindow
	for key, split := range m.Served().Split {
		part := strings.Split(key, "/")
		k := rollout.Key{App: part[0], Env: part[1], Workload: part[2]}
		for _, sh := range split {
			if sh.Weight > 0 {
				w := analysis.Window{Start: now.Add(-length), Length: length, Requests: 10, Status: [6]uint64{2: 10}}
				out = append(out, world.VersionWindow{Cursor: uint64(now.UnixMicro()), Epoch: "test", Key: k, Version: sh.Version, Window: w})
			}
		}
	}
	return out
}

func (m *machine) Shares() []world.Shares { return nil }

func (m *machine) Logs(_ context.Context, q world.LogQuery, w io.Writer) error {
	return json.NewEncoder(w).Encode(world.LogLine{
		At: time.Now(), Key: rollout.Key{App: q.App, Env: q.Env, Workload: "web"}, Version: 1, Instance: "web-1", Stream: "stderr", Text: "panic: no beans",
	})
}

func (m *machine) Stop(context.Context) error { return nil }

// installation is a server without git: the real store and controller before a
// machine that is always well.
type installation struct {
	*client.Client
	handler    http.Handler
	controller *controller.Controller
	store      *store.Store
	machine    *machine
}

func install(t *testing.T) *installation {
	t.Helper()
	dir, err := os.MkdirTemp("", "api-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })

	socket, nodeToken := filepath.Join(dir, "node.sock"), "node"
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{seen: 1, changed: make(chan struct{})}
	srv := &http.Server{Handler: node.NewHandler(m, nodeToken), ReadHeaderTimeout: time.Minute, BaseContext: func(net.Listener) context.Context { return ctx }}
	running.Go(func() { _ = srv.Serve(l) }) // it ends when it is closed
	t.Cleanup(func() { srv.Close() })
	n := node.NewClient(socket, nodeToken)

	st, err := store.Open(ctx, store.Options{Folder: filepath.Join(dir, "server"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	sec, err := secrets.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := controller.New(controller.Config{Store: st, Target: n, Router: n, Meter: n, Vault: testVault{sec}, PreviewKey: make([]byte, 32)})
	running.Go(func() {
		if err := c.Run(ctx); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
	tokens := book(t)
	h := New(ctx, Config{
		Controller: c, Store: st, Node: n, Secrets: sec, Token: token, Tokens: tokens, Signers: &auth.Signers{Book: tokens, Local: token, Key: make([]byte, 32)}, Log: slog.New(slog.DiscardHandler),
		About: client.Server{Version: "test", API: "http://127.0.0.1:7070", Gateway: "http://127.0.0.1:7080", Data: dir},
		Git:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }),
		Preview: func(k rollout.Key, v rollout.Version, until time.Time) string {
			return fmt.Sprintf("%s %s for %s", k, v, time.Until(until).Round(time.Minute))
		},
	})
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	t.Cleanup(cancel) // streams end before the server waits for them
	return &installation{&client.Client{URL: web.URL, Token: token}, h, c, st, m}
}

// book holds no token yet.
func book(t *testing.T) *auth.Book {
	t.Helper()
	b, err := auth.Open(filepath.Join(t.TempDir(), "tokens.json"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type testVault struct{ *secrets.Store }

func (v testVault) Digests(ctx context.Context, app, env string, names []string) (map[string]string, error) {
	ds, err := v.Store.Digests(ctx, app, env, names)
	if errors.Is(err, secrets.ErrUnset) {
		err = errors.Join(controller.ErrNoSecret, err)
	}
	return ds, err
}

const shop = `titrate: 1
app: shop
defaults:
  rollout: { steps: [10% until approved, 50% until approved, 100%] }
  bake: 0s
  alarms: { errors: 5xx > 50% for 1s min 1 }
services:
  web: { build: ., host: shop.localhost, env: { TEXT: %TEXT% } }
`

// release delivers shop with an artifact of its own, and waits until its rollout
// has arrived somewhere.
func (i *installation) release(t *testing.T, commit string, wait func(client.Rollout) bool) client.Rollout {
	t.Helper()
	src := []byte(strings.ReplaceAll(shop, "%TEXT%", commit))
	app, problems := manifest.Parse(src, manifest.File)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	got, err := i.controller.Deliver(t.Context(), controller.Delivery{
		App: *app, Manifest: src, Commit: commit, Branch: "main", Default: true, By: "test",
		Artifact: map[string]rollout.Artifact{"web": {Digest: strings.Repeat("a", 64), Command: []string{"web"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return i.await(t, got.Rollouts[0], wait)
}

func (i *installation) await(t *testing.T, id int64, wait func(client.Rollout) bool) client.Rollout {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		heard := i.store.Heard()
		r, err := i.Rollout(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if wait(r) {
			return r
		}
		select {
		case <-heard:
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("rollout %d stays %+v", id, r)
		}
	}
}

func over(r client.Rollout) bool     { return r.Over() }
func ended(r client.Rollout) bool    { return r.Phase == "ended" } // nothing more is heard of it
func approval(r client.Rollout) bool { return r.Wait.Person }
