package gateway

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

var orders = rollout.Key{App: "cofe", Env: "production", Workload: "orders"}

var previewKey = []byte("0123456789abcdef0123456789abcdef")

// rig is a gateway that serves on real sockets.
type rig struct {
	*Gateway
	public string // host:port
	stamp  atomic.Uint64
	stop   context.CancelFunc
	done   chan struct{} // closed when Serve has returned
	client *http.Client
}

func newRig(t *testing.T, c Config) *rig {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return rigOn(t, c, l, func(*rig) {})
}

// rigOn serves on a listener, once prepare has been called.
func rigOn(t *testing.T, c Config, public net.Listener, prepare func(*rig)) *rig {
	t.Helper()
	in, err := ListenInternal(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	c.Epoch = "test"
	c.InternalPort = in.Addr().(*net.TCPAddr).Port
	if c.IdleGrace == 0 {
		c.IdleGrace = 100 * time.Millisecond
	}
	if c.HalfClosed == 0 {
		c.HalfClosed = 20 * time.Millisecond
	}
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &rig{Gateway: g, public: public.Addr().String(), stop: cancel, done: make(chan struct{})}
	tr := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	r.client = &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	prepare(r)
	go func() {
		defer close(r.done)
		if err := g.Serve(ctx, Listeners{Public: public, Internal: in}); err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	t.Cleanup(func() { tr.CloseIdleConnections(); cancel(); <-r.done })
	return r
}

// split applies a table with the one workload "orders", reached by every path,
// and each of weights' versions; a negative weight is a version without a share.
func (r *rig) split(t *testing.T, weights map[rollout.Version]rollout.Weight, change ...func(*Table)) {
	t.Helper()
	w := Workload{Key: orders, Routes: []string{"/"}}
	for v, weight := range weights {
		w.Versions = append(w.Versions, Version{Version: v, Drain: 5 * time.Second})
		if weight >= 0 {
			w.Split = append(w.Split, world.Share{Version: v, Weight: weight})
		}
	}
	table := Table{Stamp: world.Stamp{Token: 1, Revision: r.stamp.Add(1)}, PreviewKey: previewKey, Workloads: []Workload{w}}
	for _, c := range change {
		c(&table)
	}
	if err := r.Apply(table); err != nil {
		t.Fatal(err)
	}
}

// drain sets every version's drain.
func drainOf(d time.Duration) func(*Table) {
	return func(t *Table) {
		for i := range t.Workloads {
			for j := range t.Workloads[i].Versions {
				t.Workloads[i].Versions[j].Drain = d
			}
		}
	}
}

func (r *rig) url(path string) string { return "http://" + r.public + path }

// totals sums the windows of a version that were ever closed, with those that
// are open now.
func (r *rig) sum(v rollout.Version) analysis.Window {
	r.closeWindows(r.cfg.Clock())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var w analysis.Window
	for _, x := range r.Windows(ctx, 0) {
		if x.Version == v {
			w.Merge(x.Window)
		}
	}
	return w
}

// backend is a version's instance: a real server.
type backend struct {
	Endpoint
	server *http.Server
	hits   atomic.Uint64
	once   sync.Once
}

func newBackend(t *testing.T, id string, h http.HandlerFunc, tune ...func(*http.Server)) *backend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{Endpoint: Endpoint{ID: id, Addr: l.Addr().String()}}
	b.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.hits.Add(1)
		h(w, r)
	})}
	for _, f := range tune {
		f(b.server)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); b.server.Serve(l) }()
	t.Cleanup(func() { b.kill(); <-ended })
	return b
}

func (b *backend) kill() { b.once.Do(func() { b.server.Close() }) }

// says is a handler that answers with a text.
func says(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s) }
}

// get returns the status, the version that answered and the body.
func (r *rig) get(t *testing.T, path string, headers ...string) (status int, version, body string) {
	t.Helper()
	return r.do(t, http.MethodGet, r.url(path), nil, headers...)
}

func (r *rig) do(t *testing.T, method, url string, body io.Reader, headers ...string) (int, string, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get(HeaderVersion), string(b)
}

// eventually waits for a state that nobody announces.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	wait(ctx, is)
	if !is() {
		t.Fatalf("after a minute still not: %s", what)
	}
}

// load sends requests from several clients until stopped, and returns what
// came back.
type load struct {
	mu       sync.Mutex
	answered map[string]uint64 // by version
	faults   []string
	stop     chan struct{}
	done     sync.WaitGroup
}

func (r *rig) load(t *testing.T, clients int, request func() *http.Request) *load {
	t.Helper()
	l := &load{answered: map[string]uint64{}, stop: make(chan struct{})}
	for range clients {
		l.done.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
				}
				l.send(r.client, request())
			}
		})
	}
	return l
}

func (l *load) send(c *http.Client, req *http.Request) {
	res, err := c.Do(req)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.faults = append(l.faults, err.Error())
	case res.StatusCode != http.StatusOK:
		l.faults = append(l.faults, fmt.Sprintf("%d %s", res.StatusCode, body))
	default:
		l.answered[res.Header.Get(HeaderVersion)]++
	}
}

func (l *load) end(t *testing.T) map[string]uint64 {
	t.Helper()
	close(l.stop)
	l.done.Wait()
	if len(l.faults) > 0 {
		t.Errorf("%d requests were lost, first: %s", len(l.faults), l.faults[0])
	}
	return l.answered
}

// count returns how many were answered so far.
func (l *load) count() (n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.answered {
		n += c
	}
	return n
}

func (r *rig) plainGet() *http.Request {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, r.url("/"), nil)
	if err != nil {
		panic(err)
	}
	return req
}

func (r *rig) plainPost() *http.Request {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.url("/"), strings.NewReader("an order"))
	if err != nil {
		panic(err)
	}
	return req
}

func bucketOf(d time.Duration) int { return analysis.Bucket(d) }

func mustPrefix(t *testing.T, s string) netip.Prefix {
	t.Helper()
	p, err := netip.ParsePrefix(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
