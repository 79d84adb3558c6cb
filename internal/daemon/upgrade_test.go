package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"titrate/internal/gateway"
	"titrate/internal/keeper"
	"titrate/internal/node"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// longService counts its requests, and answers some of them for as long as it is let.
type longService struct{ hits atomic.Int64 }

func (s *longService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz":
		return
	case "/hits":
		fmt.Fprint(w, s.hits.Load())
		return
	}
	s.hits.Add(1)
	switch r.URL.Path {
	case "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			fmt.Fprintf(w, "data: %d\n\n", n)
			if http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
			}
		}
	case "/ws":
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		for rw.Flush() == nil {
			line, err := rw.ReadString('\n')
			if err != nil {
				return
			}
			fmt.Fprint(rw, line)
		}
	default:
		n, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			fmt.Fprint(w, n)
		}
	}
}

func nodeLog() *slog.Logger {
	if os.Getenv("TITRATE_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}

// succession is nodes, one after the other, on the same sockets and data folder: the test
// does what the keeper does.
type succession struct {
	dir    folder
	drain  time.Duration // of its versions
	public string
	token  string
	files  []*os.File
	client *node.Client
	now    *exec.Cmd
	gone   chan struct{} // closed when it has ended
	ended  sync.WaitGroup
}

// newSuccession starts the first, which has one version of one service, ready.
func newSuccession(t *testing.T, drain time.Duration) *succession {
	t.Helper()
	s := &succession{dir: dataFolder(t), drain: drain}
	var lc net.ListenConfig
	public, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	internal, err := gateway.ListenInternal(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	s.public, s.files = public.Addr().String(), []*os.File{file(t, public), file(t, internal)}
	public.Close()
	internal.Close()
	if s.token, err = s.dir.nodeToken(); err != nil {
		t.Fatal(err)
	}
	// As while something is up: else who leaves would take it that nothing is.
	if err := os.WriteFile(s.dir.running(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(s.dir.artifacts(), artifact), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "cp", program, filepath.Join(s.dir.artifacts(), artifact, "app")).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	s.client = node.NewClient(s.dir.nodeSocket(), s.token)
	s.start(t)
	t.Cleanup(func() {
		stopping, done := context.WithTimeout(context.Background(), 20*time.Second)
		defer done()
		_ = s.client.Stop(stopping)
		os.Remove(s.dir.running())
		_ = s.now.Process.Signal(syscall.SIGKILL)
		s.ended.Wait()
	})
	answers(t, s.client)
	s.serve(t, 1, 1)
	s.await(t, func(seen world.Seen) bool { return len(seen.Fleets) == 1 && seen.Fleets[0].Ready == 1 })
	return s
}

var web = rollout.Key{App: "web", Env: "production", Workload: "web"}

// serve gives all traffic to one of the versions up to it.
func (s *succession) serve(t *testing.T, revision uint64, all rollout.Version) {
	t.Helper()
	w := world.Workload{Key: web, Hosts: []string{"web.localhost"}, Split: []world.Share{{Version: all, Weight: rollout.Full}}}
	for v := rollout.Version(1); v <= all; v++ {
		w.Fleets = append(w.Fleets, world.Fleet{
			Version: v, Count: 1, Artifact: artifact, Command: []string{"app", "serve-long"}, Health: "/healthz", StartTimeout: time.Minute, Drain: s.drain,
		})
	}
	if err := s.client.Ensure(t.Context(), world.Wanted{Stamp: world.Stamp{Token: 1, Revision: revision}, Workloads: []world.Workload{w}}); err != nil {
		t.Fatal(err)
	}
}

// start starts a node, which the process waits for.
func (s *succession) start(t *testing.T) {
	t.Helper()
	c := exec.Command(os.Args[0], "__node", string(s.dir))
	c.Env = append(os.Environ(), keeper.SocketsVar+"="+socketGateway+","+socketInternal)
	c.ExtraFiles = s.files
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	s.now, s.gone = c, gone
	s.ended.Go(func() { defer close(gone); _ = c.Wait() })
}

// next has the node hand over, and starts the next one.
func (s *succession) next(t *testing.T) {
	t.Helper()
	s.handOver(t)
	s.start(t)
}

func (s *succession) handOver(t *testing.T) {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "unix", filepath.Join(string(s.dir), ".node.handover"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, s.token)
	name := make([]byte, 64)
	if n, err := c.Read(name); err != nil || string(name[:n]) != socketGateway+","+socketInternal {
		t.Fatalf("handed over %q, %v", name[:n], err)
	}
	c.Close()
}

// await waits until the node sees what ok says.
func (s *succession) await(t *testing.T, ok func(world.Seen) bool) world.Seen {
	t.Helper()
	var after uint64
	for deadline := time.Now().Add(time.Minute); ; {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		seen, err := s.client.Seen(ctx, after)
		cancel()
		if err == nil {
			if after = seen.Sequence; ok(seen) {
				return seen
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("last seen: %+v, %v", seen, err)
		}
	}
}

// relieved waits until a node serves and all before it have been told so.
func (s *succession) relieved(t *testing.T) world.Seen {
	t.Helper()
	pid := strconv.Itoa(s.now.Process.Pid)
	return s.await(t, func(seen world.Seen) bool {
		return strings.HasSuffix(seen.Epoch, "-"+pid) && len(seen.Instances) > 0
	})
}

func (s *succession) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.public+path, body)
	if err == nil {
		req.Host = "web.localhost"
	}
	return req, err
}

// customers send without pause: half of them over kept connections. What they send is no
// client's to repeat.
type customers struct {
	stop   context.CancelFunc
	done   sync.WaitGroup
	ok     atomic.Int64
	mu     sync.Mutex
	failed []failure
}

type failure struct {
	began, ended time.Time
	reused       bool // a kept connection
	err          error
}

// killing is from before a kill until the node had ended.
type killing struct{ from, to time.Time }

// by reports whether it failed for a kill: it was under way, or on a connection that had
// ended with the node. Nobody may be refused.
func (f failure) by(k killing) bool {
	return !errors.Is(f.err, syscall.ECONNREFUSED) && f.ended.After(k.from) && (f.reused || f.began.Before(k.to))
}

func (s *succession) customers(t *testing.T, n int) *customers {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	c := &customers{stop: stop}
	for i := range n {
		c.done.Go(func() {
			tr := &http.Transport{DisableKeepAlives: i%2 == 0}
			defer tr.CloseIdleConnections()
			client := &http.Client{Transport: tr, Timeout: time.Minute}
			for ctx.Err() == nil {
				began := time.Now()
				reused, err := s.post(client)
				if err == nil {
					c.ok.Add(1)
					continue
				}
				c.mu.Lock()
				c.failed = append(c.failed, failure{began, time.Now(), reused, err})
				c.mu.Unlock()
			}
		})
	}
	t.Cleanup(func() { stop(); c.done.Wait() })
	return c
}

// post tells whether it was sent over a kept connection.
func (s *succession) post(client *http.Client) (reused bool, err error) {
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
	req, err := s.request(ctx, http.MethodPost, "/", io.NopCloser(strings.NewReader("12345")))
	if err != nil {
		return reused, err
	}
	req.ContentLength = 5
	res, err := client.Do(req)
	if err != nil {
		return reused, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != 200 || string(b) != "5") {
		err = fmt.Errorf("%s: %s", res.Status, b)
	}
	return reused, err
}

func (c *customers) more(t *testing.T, n int64) {
	t.Helper()
	want := c.ok.Load() + n
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); c.ok.Load() < want; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("nothing is answered any more")
		}
	}
}

func (c *customers) end(t *testing.T, kills ...killing) {
	t.Helper()
	c.stop()
	c.done.Wait()
	for _, f := range c.failed {
		if !slices.ContainsFunc(kills, f.by) {
			t.Errorf("lost after %v, reused %t: %v", f.ended.Sub(f.began), f.reused, f.err)
		}
	}
}

// counted is what all nodes counted, by what the last one tells; it waits until that is n.
func (s *succession) counted(t *testing.T, n uint64) {
	t.Helper()
	var sum uint64
	epochs := map[string]uint64{}
	var after uint64
	for deadline := time.Now().Add(20 * time.Second); sum < n && time.Now().Before(deadline); {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		ws, _ := s.client.Windows(ctx, after)
		cancel()
		for _, w := range ws {
			if w.Cursor <= after {
				t.Errorf("cursor %d after %d", w.Cursor, after)
			}
			after = w.Cursor
			sum += w.Requests
			epochs[w.Epoch] += w.Requests
		}
	}
	if sum != n {
		t.Errorf("%d counted %v, %d came to the service", sum, epochs, n)
	}
}

func (s *succession) hits(t *testing.T, seen world.Seen) uint64 {
	t.Helper()
	res, err := http.Get("http://" + seen.Instances[0].Addr + "/hits")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// tunnel is a connection that was upgraded, or a stream of events.
func (s *succession) dial(t *testing.T, head string) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", s.public)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	fmt.Fprint(c, head+"Host: web.localhost\r\n\r\n")
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, in, res
}

// TestR17_UpgradesLoseNothing takes over five times under load: no request fails, tunnels,
// streams and bodies that are under way go on, and every request is in the account of one
// epoch.
func TestR17_UpgradesLoseNothing(t *testing.T) {
	t.Parallel()
	s := newSuccession(t, time.Minute)
	c := s.customers(t, 8)
	ws, in, res := s.dial(t, "GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res.Status)
	}
	_, _, events := s.dial(t, "GET /events HTTP/1.1\r\n")
	lines := bufio.NewReader(events.Body)
	slow, body := io.Pipe()
	posted := make(chan error, 1)
	go func() {
		req, err := s.request(context.Background(), http.MethodPost, "/slow", slow)
		if err != nil {
			posted <- err
			return
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err == nil {
			var b []byte
			b, err = io.ReadAll(res.Body)
			res.Body.Close()
			if err == nil && string(b) != "60" {
				err = fmt.Errorf("%s: %s", res.Status, b)
			}
		}
		posted <- err
	}()
	var seen world.Seen
	for n := range 6 {
		if n > 0 {
			s.next(t)
		}
		c.more(t, 100)
		seen = s.relieved(t)
		c.more(t, 100)
		if _, err := io.WriteString(body, "0123456789"); err != nil {
			t.Fatalf("after %d switches: %v", n, err)
		}
		fmt.Fprintf(ws, "hello %d\n", n)
		if line, err := in.ReadString('\n'); err != nil || line != fmt.Sprintf("hello %d\n", n) {
			t.Fatalf("the tunnel after %d switches: %q, %v", n, line, err)
		}
		for range 10 {
			if line, err := lines.ReadString('\n'); err != nil {
				t.Fatalf("the stream after %d switches: %q, %v", n, line, err)
			}
		}
	}
	body.Close()
	if err := <-posted; err != nil {
		t.Errorf("the slow body: %v", err)
	}
	c.end(t)
	ws.Close()
	s.counted(t, s.hits(t, seen))
}

// TestR17_AVersionIsKeptForWhatAnEarlierNodeHas: the version that a tunnel of the node
// before is on loses its traffic and is wanted no more; it ends when the tunnel does.
func TestR17_AVersionIsKeptForWhatAnEarlierNodeHas(t *testing.T) {
	t.Parallel()
	s := newSuccession(t, time.Minute)
	ws, in, _ := s.dial(t, "GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")
	s.next(t)
	s.relieved(t)
	s.serve(t, 2, 2)
	s.await(t, func(seen world.Seen) bool {
		for _, f := range seen.Fleets {
			if f.Version == 1 && f.Open == 1 {
				return true
			}
		}
		return false
	})
	fmt.Fprint(ws, "still here\n")
	if line, err := in.ReadString('\n'); err != nil || line != "still here\n" {
		t.Errorf("%q, %v", line, err)
	}
	ws.Close()
	s.await(t, func(seen world.Seen) bool {
		for _, f := range seen.Fleets {
			if f.Version == 1 && f.Open == 0 {
				return true
			}
		}
		return false
	})
}

// TestNode_killedUnderLoadLosesOnlyWhatWasInFlight starts the next when one was killed:
// nobody is refused, and what was sent after the kill is answered.
func TestNode_killedUnderLoadLosesOnlyWhatWasInFlight(t *testing.T) {
	t.Parallel()
	s := newSuccession(t, time.Minute)
	c := s.customers(t, 8)
	var kills []killing
	for range 3 {
		c.more(t, 100)
		from := time.Now()
		if err := s.now.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-s.gone
		kills = append(kills, killing{from, time.Now()})
		s.start(t)
		c.more(t, 100)
		s.relieved(t)
	}
	c.end(t, kills...)
}

// TestNode_servesOnUntilSomebodyElseDoes hands over, and nobody comes: it serves, and hands
// over again. Then a node comes that does not know of it, as that of an older program.
func TestNode_servesOnUntilSomebodyElseDoes(t *testing.T) {
	t.Parallel()
	s := newSuccession(t, time.Minute)
	s.handOver(t)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 2 {
		if _, err := s.post(client); err != nil {
			t.Fatal(err)
		}
		s.handOver(t)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p := newParts(slog.New(slog.DiscardHandler))
	p.start(ctx, "an older node", func(ctx context.Context) error {
		lock, err := awaitLock(ctx, s.dir.at("node", "node.lock"))
		if err != nil {
			return err
		}
		defer lock.Close()
		return serveUnix(ctx, s.dir.nodeSocket(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	})
	<-s.gone
	cancel()
	p.wait()
	s.start(t) // which ends the service
	answers(t, s.client)
}

// TestNode_stopEndsThoseBefore: a tunnel of the node before ends with the service, and then
// that node does, before the stop has been answered.
func TestNode_stopEndsThoseBefore(t *testing.T) {
	t.Parallel()
	s := newSuccession(t, time.Millisecond)
	ws, in, _ := s.dial(t, "GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")
	s.next(t)
	s.relieved(t)
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, in)
		ended <- errors.Join(err, ws.Close())
	}()
	stopping, done := context.WithTimeout(t.Context(), time.Minute)
	defer done()
	if err := stopWorkloads(stopping, s.client); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(s.dir.at("node", "*.old")); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}
