package local

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

var orders = rollout.Key{App: "cofe", Env: "production", Workload: "orders"}

var artifact = strings.Repeat("ab", 32)

// bench is a supervisor under test with what it told.
type bench struct {
	*Supervisor
	t    *testing.T
	dir  string
	stop func() // lets go

	mu       sync.Mutex
	ready    map[rollout.Version][]Endpoint
	open     map[string]int
	revision uint64
}

// newFolder is a data folder with one artifact: this program.
func newFolder(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	for _, d := range []string{"node", "logs", "artifacts/" + artifact} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "artifacts", artifact, "app")); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// newBench starts a supervisor on dir. What it runs is ended with the test.
func newBench(t *testing.T, dir string, change ...func(*Config)) *bench {
	t.Helper()
	return prepare(t, dir, change...).start()
}

// prepare is newBench before Run is called.
func prepare(t *testing.T, dir string, change ...func(*Config)) *bench {
	t.Helper()
	b := &bench{t: t, dir: dir, ready: map[rollout.Version][]Endpoint{}, open: map[string]int{}, revision: uint64(time.Now().UnixNano())}
	cfg := testConfig(dir, slog.New(slog.NewTextHandler(testLog{t}, nil)))
	cfg.OnReady = func(_ rollout.Key, v rollout.Version, ready []Endpoint) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.ready[v] = ready
	}
	cfg.Open = func(addr string) int {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.open[addr]
	}
	for _, c := range change {
		c(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.Supervisor = s
	return b
}

// start calls Run until stop or the end of the test.
func (b *bench) start() *bench {
	t, s := b.t, b.Supervisor
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var once sync.Once
	b.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		if ctx.Err() == nil {
			b.until("the supervisor runs", func(Seen) bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.running
			})
			hurried, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
			defer cancel()
			_ = s.Stop(hurried)
		}
		b.stop()
	})
	return b
}

// testLog shows the supervisor's log with a failed test.
type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// run is a fleet of this program in one of its modes.
func run(v rollout.Version, count int, mode ...string) world.Fleet {
	return world.Fleet{
		Version: v, Count: count, Artifact: artifact, Command: append([]string{"app"}, mode...), Health: "/healthz",
		StartTimeout: time.Minute, Drain: time.Minute, Release: 42, Commit: "c0ffee",
	}
}

func (b *bench) want(fleets ...world.Fleet) {
	b.t.Helper()
	b.apply(world.Wanted{Workloads: []world.Workload{{Key: orders, Fleets: fleets}}})
}

func (b *bench) apply(w world.Wanted) {
	b.t.Helper()
	b.revision++
	w.Stamp = world.Stamp{Token: 1, Revision: b.revision}
	if err := b.Apply(w); err != nil {
		b.t.Fatalf("Apply: %v", err)
	}
}

// until waits for something to be seen.
func (b *bench) until(what string, is func(Seen) bool) Seen {
	b.t.Helper()
	deadline := time.After(time.Minute)
	for {
		seen, changed := b.Seen()
		if is(seen) {
			return seen
		}
		select {
		case <-changed:
		case <-time.After(10 * time.Millisecond): // what is not told by Seen
		case <-deadline:
			b.t.Fatalf("never: %s\nseen: %+v", what, seen)
		}
	}
}

func (b *bench) untilReady(v rollout.Version, n int) []Endpoint {
	b.t.Helper()
	b.until("ready instances", func(Seen) bool { return len(b.endpoints(v)) == n })
	return b.endpoints(v)
}

func (b *bench) endpoints(v rollout.Version) []Endpoint {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.ready[v])
}

func (b *bench) setOpen(addr string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[addr] = n
}

func (s Seen) fleet(v rollout.Version) world.FleetSeen {
	for _, f := range s.Fleets {
		if f.Version == v {
			return f
		}
	}
	return world.FleetSeen{}
}

func (s Seen) instance(id string) world.Instance {
	for _, in := range s.Instances {
		if in.ID == id {
			return in
		}
	}
	return world.Instance{}
}

func (s Seen) pids() map[string]int {
	out := map[string]int{}
	for _, in := range s.Instances {
		out[in.ID] = in.PID
	}
	return out
}

func (s Seen) ids() []string { return slices.Sorted(maps.Keys(s.pids())) }

// alive reports whether a process runs: a zombie does not.
func alive(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func kill9(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) logs(q world.LogQuery) []world.LogLine {
	b.t.Helper()
	q.App, q.Env = orders.App, orders.Env
	var out []world.LogLine
	for l, err := range ReadLogs(b.t.Context(), b.cfg.Logs, q) {
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, l)
	}
	return out
}

// reapForTest waits for a child of this program.
func reapForTest(pid int) { _, _ = syscall.Wait4(pid, nil, 0, nil) }

func tryGet(url string) error {
	resp, err := http.Get(url)
	if err == nil {
		resp.Body.Close()
	}
	return err
}
