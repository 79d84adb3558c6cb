package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// machine remembers what it was asked.
type machine struct {
	mu     sync.Mutex
	wanted world.Wanted
	takes  int
	seen   chan world.Seen
}

func (m *machine) Take(_ context.Context, w world.Wanted) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w.Stamp.Less(m.wanted.Stamp) {
		return world.ErrStale
	}
	m.wanted, m.takes = w, m.takes+1
	return nil
}

func (m *machine) Seen(ctx context.Context, after uint64) world.Seen {
	select {
	case s := <-m.seen:
		return s
	case <-ctx.Done():
		return world.Seen{Sequence: after}
	}
}

func (m *machine) Served() world.Served {
	m.mu.Lock()
	defer m.mu.Unlock()
	return world.Served{Stamp: m.wanted.Stamp}
}

func (m *machine) Shares() []world.Shares { return []world.Shares{{Off: true}} }

func (m *machine) Windows(ctx context.Context, after uint64) []world.VersionWindow {
	<-ctx.Done()
	return []world.VersionWindow{{Cursor: after + 1, Epoch: "e1"}}
}

func (m *machine) Logs(_ context.Context, q world.LogQuery, w io.Writer) error {
	for _, t := range []string{"one", "two"} {
		if err := json.NewEncoder(w).Encode(world.LogLine{Text: t, Key: rollout.Key{App: q.App}}); err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) Stop(context.Context) error { return nil }

func (m *machine) Invoke(ctx context.Context, i Invocation) (Invoked, error) {
	switch i.Key.Workload {
	case "echo":
		return Invoked{Version: i.Version, Status: 200, Payload: i.Payload, Tail: string(i.Kind)}, nil
	case "pieces": // each when the one before was taken
		to := i.To(3)
		for _, piece := range []string{"one", strings.Repeat("two", maxPiece)} {
			if _, err := io.WriteString(to, piece); err != nil {
				return Invoked{}, fmt.Errorf("write: %w", err)
			}
		}
		if string(i.Payload) == "broken" {
			return Invoked{}, fmt.Errorf("it drained: %w", ErrNotReady)
		}
		return Invoked{Version: 3, Tail: "END"}, nil
	case "slow":
		<-ctx.Done()
		return Invoked{}, ctx.Err()
	case "service":
		return Invoked{}, fmt.Errorf("workload %s: %w", i.Key, ErrNotFunction)
	}
	return Invoked{}, fmt.Errorf("workload %s: %w", i.Key, ErrUnknown)
}

func (m *machine) Queues(_ context.Context, app, env string) ([]Queue, error) {
	return []Queue{{Name: app + "-" + env, Visible: 2}}, nil
}

func (m *machine) Send(_ context.Context, q QueueName, msg Message) (string, error) {
	if len(msg.Body) == 0 {
		return "", fmt.Errorf("%w: it is empty", ErrEvent)
	}
	return q.Name + " " + string(msg.Body), nil
}

func (m *machine) Purge(context.Context, QueueName) (int, error) { return 7, nil }

func (m *machine) Redrive(context.Context, QueueName) (int, error) { return 0, ErrNoFunctions }

func (m *machine) Peek(_ context.Context, _ QueueName, limit int) ([]Message, error) {
	return make([]Message, limit), nil
}

func serve(t *testing.T, m Machine) *Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "n") // a unix socket's path is at most 107 bytes long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "node.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: NewHandler(m, "secret")}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return NewClient(path, "secret")
}

func TestR18_aSmallerStampIsRefusedAndAnEqualOneAcknowledged(t *testing.T) {
	t.Parallel()
	m := &machine{}
	c := serve(t, m)
	w := world.Wanted{Stamp: world.Stamp{Token: 2, Revision: 7}}
	for range 2 {
		if err := c.Ensure(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Split(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if m.takes != 2 {
		t.Errorf("the node was asked %d times, want 2: Split after an acknowledged Ensure has nothing to ask", m.takes)
	}
	for _, old := range []world.Stamp{{Token: 2, Revision: 6}, {Token: 1, Revision: 100}} {
		if err := c.Ensure(t.Context(), world.Wanted{Stamp: old}); !errors.Is(err, world.ErrStale) {
			t.Errorf("stamp %v: got %v, want ErrStale", old, err)
		}
	}
}

func TestClient_waitsForTheNextSeen(t *testing.T) {
	t.Parallel()
	m := &machine{seen: make(chan world.Seen, 1)}
	c := serve(t, m)
	m.seen <- world.Seen{Sequence: 9}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := c.Seen(ctx, 8)
	if err != nil || s.Sequence != 9 {
		t.Errorf("got %d, %v; want 9", s.Sequence, err)
	}
}

func TestClient_getsAnAnswerBeforeItsDeadline(t *testing.T) {
	t.Parallel()
	c := serve(t, &machine{})
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
	defer cancel()
	ws, err := c.Windows(ctx, 4)
	if err != nil || len(ws) != 1 || ws[0].Cursor != 5 {
		t.Errorf("got %v, %v", ws, err)
	}
}

func TestClient_readsLogs(t *testing.T) {
	t.Parallel()
	c := serve(t, &machine{})
	var got []string
	err := c.Logs(t.Context(), world.LogQuery{App: "cofe"}, func(l world.LogLine) bool {
		got = append(got, l.Key.App+" "+l.Text)
		return true
	})
	if diff := cmp.Diff([]string{"cofe one", "cofe two"}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestHandler_refusesAProtocolTooFarAway(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]int{"0": 200, "1": 200, "2": 200, "3": 426, "": 426, "x": 426} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://node/v1/served", nil)
		req.Header.Set(protocolHeader, header)
		rec := recorder{head: http.Header{}}
		req.Header.Set("Authorization", "Bearer secret")
		NewHandler(&machine{}, "secret").ServeHTTP(&rec, req)
		if got := max(rec.status, 200); got != want {
			t.Errorf("protocol %q: status %d, want %d", header, got, want)
		}
	}
}

func TestHandler_takesOrdersFromItsServerOnly(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"", "Secret", "secret2"} {
		for _, path := range []string{"PUT /v1/world", "GET /v1/seen", "GET /v1/served", "GET /v1/shares", "GET /v1/windows", "POST /v1/logs", "POST /v1/stop", "GET /"} {
			method, at, _ := strings.Cut(path, " ")
			req, _ := http.NewRequestWithContext(t.Context(), method, "http://node"+at, strings.NewReader("{}"))
			req.Header.Set(protocolHeader, "1")
			req.Header.Set("Authorization", "Bearer "+token)
			rec := recorder{head: http.Header{}}
			NewHandler(&machine{}, "secret").ServeHTTP(&rec, req)
			if rec.status != http.StatusUnauthorized {
				t.Errorf("%s with token %q: status %d", path, token, rec.status)
			}
		}
	}
}

type recorder struct {
	head   http.Header
	status int
}

func (r *recorder) Header() http.Header         { return r.head }
func (r *recorder) Write(p []byte) (int, error) { return len(p), nil }
func (r *recorder) WriteHeader(s int)           { r.status = s }

func secretWorld(rev uint64) world.Wanted {
	return world.Wanted{
		Stamp: world.Stamp{Token: 1, Revision: rev},
		Workloads: []world.Workload{{
			Key:    rollout.Key{App: "cofe", Env: "production", Workload: "orders"},
			Fleets: []world.Fleet{{Version: 3, Count: 1, Secrets: map[string]string{"PSP_KEY": "s3cr3t-value"}}},
			Split:  []world.Share{{Version: 3, Weight: rollout.Full}},
		}},
	}
}

func TestR19_snapshotSurvivesDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := OpenSnapshot(dir)
	if err != nil {
		t.Fatal(err)
	}
	if w, err := s.Load(); err != nil || w.Stamp != (world.Stamp{}) {
		t.Fatalf("an absent snapshot is a zero world, got %v, %v", w.Stamp, err)
	}
	for rev := range uint64(3) {
		if err := s.Save(secretWorld(rev)); err != nil {
			t.Fatal(err)
		}
	}
	s, err = OpenSnapshot(dir)
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Load()
	if diff := cmp.Diff(secretWorld(2), w); diff != "" || err != nil {
		t.Fatal(diff, err)
	}
	raw, _ := os.ReadFile(filepath.Join(dir, "wanted"))
	if strings.Contains(string(raw), "s3cr3t") {
		t.Error("the snapshot shows a secret's value")
	}
	for _, damage := range [][]byte{nil, raw[:len(raw)/2], append([]byte("x"), raw...)} {
		if err := os.WriteFile(filepath.Join(dir, "wanted"), damage, 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := s.Load()
		if err == nil || w.Stamp.Revision != 1 {
			t.Errorf("damaged snapshot: got revision %d and error %v, want the one before and an error", w.Stamp.Revision, err)
		}
	}
}

// A person's call waits for a node that is started again, and the controller's does not.
func TestClient_aCallWaitsForTheNextNode(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "n") // a unix socket's path is at most 107 bytes long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	c := NewClient(path, "secret")
	if _, err := c.Served(t.Context()); err == nil {
		t.Fatal("there is no node, and it answers")
	}
	done := make(chan error, 1)
	go func() {
		_, err := c.Send(t.Context(), QueueName{App: "a", Env: "e", Name: "q"}, Message{Body: []byte("1")})
		done <- err
	}()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: NewHandler(&machine{}, "secret"), ReadHeaderTimeout: time.Minute}
	go func() { _ = srv.Serve(l) }() // ends with Close
	t.Cleanup(func() { srv.Close() })
	if err := <-done; err != nil {
		t.Error(err)
	}
}
