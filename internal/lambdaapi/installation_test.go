package lambdaapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"titrate/internal/api"
	"titrate/internal/auth"
	"titrate/internal/controller"
	"titrate/internal/functions"
	"titrate/internal/manifest"
	"titrate/internal/node"
	"titrate/internal/rollout"
	"titrate/internal/store"
	"titrate/internal/world"
)

// fakeMachine is a node on which everything is ready at once, and which answers calls as
// a test says.
type fakeMachine struct {
	mu      sync.Mutex
	wanted  world.Wanted
	seen    uint64
	changed chan struct{}
	calls   []node.Invocation
	answer  func(node.Invocation) (node.Invoked, error)
}

func (m *fakeMachine) Take(_ context.Context, w world.Wanted) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w.Stamp != m.wanted.Stamp {
		m.wanted = w
		m.seen++
		close(m.changed)
		m.changed = make(chan struct{})
	}
	return nil
}

func (m *fakeMachine) Seen(ctx context.Context, after uint64) world.Seen {
	for {
		m.mu.Lock()
		now := time.Now()
		s := world.Seen{Sequence: m.seen, Epoch: "test", Started: now, Stamp: m.wanted.Stamp, Served: m.wanted.Stamp, Since: now}
		for _, w := range m.wanted.Workloads {
			for _, f := range w.Fleets {
				one := world.FleetSeen{Key: w.Key, Version: f.Version, Ready: f.Count, Invoked: 30 * m.seen}
				for _, sh := range w.Split {
					if sh.Version == f.Version {
						one.Weight = sh.Weight
					}
				}
				s.Fleets = append(s.Fleets, one)
			}
		}
		changed := m.changed
		m.mu.Unlock()
		if s.Sequence > after {
			return s
		}
		select {
		case <-ctx.Done():
			return s
		case <-changed:
		case <-time.After(50 * time.Millisecond): // its functions are called all the time
			m.mu.Lock()
			m.seen++
			m.mu.Unlock()
		}
	}
}

func (m *fakeMachine) Served() world.Served {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := world.Served{Stamp: m.wanted.Stamp, Since: time.Now(), Split: map[string][]world.Share{}}
	for _, w := range m.wanted.Workloads {
		s.Split[w.Key.String()] = w.Split
	}
	return s
}

func (m *fakeMachine) Windows(ctx context.Context, _ uint64) []world.VersionWindow {
	<-ctx.Done()
	return nil
}
func (m *fakeMachine) Shares() []world.Shares                                { return nil }
func (m *fakeMachine) Logs(context.Context, world.LogQuery, io.Writer) error { return nil }
func (m *fakeMachine) Stop(context.Context) error                            { return nil }
func (m *fakeMachine) Purge(context.Context, node.QueueName) (int, error)    { return 0, nil }
func (m *fakeMachine) Redrive(context.Context, node.QueueName) (int, error)  { return 0, nil }
func (m *fakeMachine) Queues(context.Context, string, string) ([]node.Queue, error) {
	return nil, nil
}

func (m *fakeMachine) Send(context.Context, node.QueueName, node.Message) (string, error) {
	return "", nil
}

func (m *fakeMachine) Peek(context.Context, node.QueueName, int) ([]node.Message, error) {
	return nil, nil
}

func (m *fakeMachine) Invoke(_ context.Context, i node.Invocation) (node.Invoked, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, i)
	if m.answer != nil {
		return m.answer(i)
	}
	runs := false
	for _, w := range m.wanted.Workloads {
		for _, f := range w.Fleets {
			if w.Key == i.Key && f.Function == nil {
				return node.Invoked{}, fmt.Errorf("%s: %w", i.Key, node.ErrNotFunction)
			}
			runs = runs || w.Key == i.Key && (i.Version == 0 || i.Version == f.Version)
		}
	}
	if !runs {
		return node.Invoked{}, fmt.Errorf("%s: %w", i.Key, node.ErrUnknown)
	}
	return node.Invoked{Version: max(i.Version, 1), Status: 200, Payload: i.Payload, Tail: "START\nEND\n"}, nil
}

func (m *fakeMachine) last() node.Invocation {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[len(m.calls)-1]
}

// installation is the real store, controller and door before such a machine.
type installation struct {
	url        string // of the Lambda API of shop in production
	controller *controller.Controller
	store      *store.Store
	machine    *fakeMachine
	tokens     *auth.Book
	signers    *auth.Signers

	mu  sync.Mutex
	now time.Time // when it is not zero, the door's clock
	far bool      // requests come from elsewhere
}

func install(t *testing.T) *installation {
	t.Helper()
	dir, err := os.MkdirTemp("", "lam-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })

	socket := filepath.Join(dir, "node.sock")
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	i := &installation{machine: &fakeMachine{seen: 1, changed: make(chan struct{})}}
	srv := &http.Server{Handler: node.NewHandler(i.machine, "node"), ReadHeaderTimeout: time.Minute, BaseContext: func(net.Listener) context.Context { return ctx }}
	running.Go(func() { _ = srv.Serve(l) }) // it ends when it is closed
	t.Cleanup(func() { srv.Close() })
	n := node.NewClient(socket, "node")

	log := slog.New(slog.DiscardHandler)
	if i.store, err = store.Open(ctx, store.Options{Folder: filepath.Join(dir, "server"), Log: log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.store.Close() })
	i.controller = controller.New(controller.Config{Store: i.store, Target: n, Router: n, Meter: n, PreviewKey: make([]byte, 32)})
	running.Go(func() {
		if err := i.controller.Run(ctx); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
	if i.tokens, err = auth.Open(filepath.Join(dir, "tokens.json"), log); err != nil {
		t.Fatal(err)
	}
	i.signers = &auth.Signers{Book: i.tokens, Local: "local-token", Key: bytes.Repeat([]byte{1}, 32)}
	limit := &auth.Limit{Burst: 3, Every: time.Hour}
	h := New(Config{
		Functions: &functions.Catalogue{Controller: i.controller, Store: i.store, Node: n}, Signers: i.signers, Limit: limit,
		From: func(*http.Request) (netip.Addr, bool) {
			i.mu.Lock()
			defer i.mu.Unlock()
			return netip.MustParseAddr("192.0.2.1"), i.far
		},
		Obeyed: func(ctx context.Context, id, before int64) (rollout.Record, error) {
			return api.Obeyed(ctx, i.store, id, before)
		},
		Now: func() time.Time {
			i.mu.Lock()
			defer i.mu.Unlock()
			if i.now.IsZero() {
				return time.Now()
			}
			return i.now
		},
		Log: log,
	})
	// Behind the whole door, which must lead here without a token.
	web := httptest.NewServer(api.New(ctx, api.Config{
		Controller: i.controller, Store: i.store, Node: n, Token: "local-token", Tokens: i.tokens, Signers: i.signers, Lambda: h, Log: log,
	}))
	t.Cleanup(web.Close)
	t.Cleanup(cancel)
	i.url = web.URL + "/lambda/shop/production"
	return i
}

const shop = `titrate: 1
app: shop
defaults:
  rollout: { steps: [10% until approved, 50% until approved, 100%] }
  bake: 0s
  alarms: {}
services:
  api-pickups-get: { build: ., env: { TEXT: %TEXT% } }
  nightly-report: { build: ., env: { TEXT: one } }
  site: { build: ., env: { TEXT: one } }
`

// deliver releases two functions and a service; commit is what is new of the first.
func (i *installation) deliver(t *testing.T, commit string, wait func(rollout.State) bool) int64 {
	t.Helper()
	return i.manifest(t, shop, commit, wait)
}

func (i *installation) manifest(t *testing.T, text, commit string, wait func(rollout.State) bool) int64 {
	t.Helper()
	src := []byte(strings.ReplaceAll(text, "%TEXT%", commit))
	app, problems := manifest.Parse(src, manifest.File)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	artifacts := map[string]rollout.Artifact{}
	for e := range app.Environments {
		for j := range app.Environments[e].Services {
			s := &app.Environments[e].Services[j]
			digest := "0"
			if s.Name == "api-pickups-get" {
				digest = commit[:1]
			}
			artifacts[s.Name] = rollout.Artifact{Digest: strings.Repeat(digest, 64), Command: []string{"bootstrap"}}
			if s.Name == "site" {
				continue
			}
			s.Function = &manifest.Function{
				Path: s.Name, Run: rollout.Function{Runtime: "nodejs22", Handler: "index.handler", Timeout: 2500 * time.Millisecond}, Scale: rollout.Scale{Max: 10},
				Triggers: rollout.Triggers{Routes: []string{"GET /" + s.Name}},
			}
			s.Limits.Memory = 256 << 20
		}
	}
	got, err := i.controller.Deliver(t.Context(), controller.Delivery{App: *app, Manifest: src, Commit: commit, Branch: "main", Default: true, By: "test", Artifact: artifacts})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range got.Rollouts {
		i.await(t, id, wait)
	}
	return got.Rollouts[0]
}

func (i *installation) await(t *testing.T, id int64, wait func(rollout.State) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		heard := i.store.Heard()
		r, err := i.store.Rollout(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if wait(r.State) {
			return
		}
		select {
		case <-heard:
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("rollout %d stays %+v", id, r.State)
		}
	}
}

func over(s rollout.State) bool { return s.Phase == rollout.Ended }

// at waits until the candidate has a weight, and what runs has been told of it.
func at(w rollout.Weight) func(rollout.State) bool {
	return func(s rollout.State) bool { return s.Weight == w && !s.Arrived.IsZero() }
}

// answered is what the API said.
type answered struct {
	status int
	header http.Header
	body   string
}

func (a answered) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return v
}

// key is a signer's.
type key struct{ id, secret string }

func (i *installation) local(t *testing.T) key {
	t.Helper()
	return i.keys(t, auth.Local)
}

func (i *installation) keys(t *testing.T, name string) key {
	t.Helper()
	id, secret, err := i.signers.Keys(name)
	if err != nil {
		t.Fatal(err)
	}
	return key{id, secret}
}

// roled is the keys of a new token of a role.
func (i *installation) roled(t *testing.T, role auth.Role) key {
	t.Helper()
	if _, _, err := i.tokens.Create(auth.Token{Name: "a-" + string(role), Role: role}, time.Now()); err != nil {
		t.Fatal(err)
	}
	return i.keys(t, "a-"+string(role))
}

// ask sends a request as AWS's own signer signs it.
func (i *installation) ask(t *testing.T, k key, method, path, body string, head ...string) answered {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, i.url+"/2015-03-31/functions"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for j := 0; j+1 < len(head); j += 2 {
		r.Header.Set(head[j], head[j+1])
	}
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: k.id, SecretAccessKey: k.secret}, r, hex.EncodeToString(sum[:]), "lambda", "local", time.Now()); err != nil {
		t.Fatal(err)
	}
	return send(t, r)
}

func send(t *testing.T, r *http.Request) answered {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{resp.StatusCode, resp.Header, string(b)}
}

// refused holds that a request was refused with an error type and a sentence that has
// the words.
func refused(t *testing.T, a answered, status int, code string, words ...string) {
	t.Helper()
	if a.status != status || a.header.Get("X-Amzn-Errortype") != code {
		t.Errorf("%d %s, want %d %s: %s", a.status, a.header.Get("X-Amzn-Errortype"), status, code, a.body)
		return
	}
	message, _ := a.json(t)["Message"].(string)
	for _, w := range words {
		if !strings.Contains(message, w) {
			t.Errorf("no %q in %s", w, message)
		}
	}
}
