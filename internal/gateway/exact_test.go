package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"titrate/internal/rollout"
)

func TestR17_NoRequestIsLostAndEachIsCountedOnceWhileTablesAndInstancesChange(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	bs := map[rollout.Version][]*backend{}
	ready := func(v rollout.Version) (es []Endpoint) {
		for _, b := range bs[v] {
			es = append(es, b.Endpoint)
		}
		return es
	}
	for v := range rollout.Version(3) {
		for i := range 2 {
			bs[v+1] = append(bs[v+1], newBackend(t, fmt.Sprintf("v%d-%d", v+1, i), says("ok")))
		}
		r.SetInstances(orders, v+1, ready(v+1))
	}
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	gets, posts := r.load(t, 6, r.plainGet), r.load(t, 2, r.plainPost)
	for n := range 150 {
		w := rollout.Weight(n*67) % (rollout.Full + 1)
		a, b := rollout.Version(n%3+1), rollout.Version((n+1)%3+1)
		r.split(t, map[rollout.Version]rollout.Weight{a: w, b: rollout.Full - w})
		if n%5 == 0 {
			r.SetInstances(orders, a, ready(a)[:1])
			r.SetInstances(orders, a, ready(a))
		}
		seen := gets.count()
		eventually(t, "some were answered", func() bool { return gets.count() > seen+5 })
	}
	answered := gets.end(t)
	for v, n := range posts.end(t) {
		answered[v] += n
	}
	eventually(t, "all are counted", func() bool { return r.inFlight.Load() == 0 })
	var total uint64
	for v, b := range bs {
		hits := b[0].hits.Load() + b[1].hits.Load()
		w := r.sum(v)
		var inBuckets uint64
		for _, n := range w.Latency.Count {
			inBuckets += n
		}
		if n := answered[v.String()]; w.Requests != n || hits != n || w.Status[2] != n || inBuckets != n || w.Failed != 0 || w.Aborted != 0 {
			t.Errorf("%s answered %d, its instances %d, its windows hold %+v", v, n, hits, w)
		}
		total += w.Requests
	}
	if total < 500 {
		t.Errorf("only %d requests", total)
	}
}

func TestR13_WindowsBeginOnWholeSecondsAndFollowOneAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	b := newBackend(t, "a", says("ok"))
	r.split(t, map[rollout.Version]rollout.Weight{1: 9000, 2: 1000, 3: -1, 4: -1})
	r.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	r.SetInstances(orders, 3, []Endpoint{b.Endpoint})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var after uint64
	last := map[rollout.Version]time.Time{}
	for range 3 {
		ws := r.Windows(ctx, after)
		if len(ws) != 3 {
			t.Fatalf("%d windows closed, not one for each of v1, v2 (has a share) and v3 (is ready): %+v", len(ws), ws)
		}
		for _, w := range ws {
			if w.Cursor <= after || w.Epoch != "test" || w.Key != orders {
				t.Errorf("after %d comes %+v", after, w)
			}
			after = w.Cursor
			if w.Requests != 0 || !w.End().Equal(w.End().Truncate(time.Second)) {
				t.Errorf("window is %+v", w)
			}
			if before, ok := last[w.Version]; ok && !before.Equal(w.Start) {
				t.Errorf("a window ends at %s, the next begins at %s", before, w.Start)
			}
			last[w.Version] = w.End()
		}
	}
	if now := uint64(time.Now().UnixMicro()); after < now-10_000_000 || after > now+1000 {
		t.Errorf("cursor %d does not follow the clock", after)
	}
}

// stopped is a gateway whose clock is set by hand and that does not serve.
func stopped(t *testing.T, c Config) (g *Gateway, now *time.Time) {
	t.Helper()
	at := time.Date(2026, 11, 22, 12, 0, 0, 400_000_000, time.UTC)
	c.Epoch = "test"
	c.Clock = func() time.Time { return at }
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Apply(Table{Workloads: []Workload{{
		Key: orders, Routes: []string{"/"}, Versions: []Version{{Version: 1}}, Split: shares(rollout.Full),
	}}}); err != nil {
		t.Fatal(err)
	}
	return g, &at
}

func now(g *Gateway, after uint64) int {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return len(g.Windows(ctx, after))
}

// TestWindowsAreAsLongAsHasPassed has a machine whose clock is set forth and back: its
// answers know what has passed, and their text does not.
func TestWindowsAreAsLongAsHasPassed(t *testing.T) {
	t.Parallel()
	var l ledger
	began := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	l.begin(began, 0, 1)
	passed, wall := began, began
	for _, c := range []struct{ set, pass time.Duration }{
		{0, time.Second},
		{time.Hour, time.Second},
		{0, time.Second},
		{-time.Hour, 2 * time.Second},
		{0, 5 * time.Second},
	} {
		passed, wall = passed.Add(c.pass), wall.Add(c.set+c.pass)
		if start, ok := l.span(wall, passed); !ok || wall.Sub(start) != c.pass {
			t.Errorf("set by %s: %s are a window of %s (%t)", c.set, c.pass, wall.Sub(start), ok)
		}
	}
}

func TestWindowsOfAGatewayThatWasHeldUpAreLonger(t *testing.T) {
	t.Parallel()
	g, at := stopped(t, Config{})
	begun := *at
	for _, c := range []struct {
		advance, length time.Duration
	}{
		{600 * time.Millisecond, 600 * time.Millisecond},
		{time.Second, time.Second},
		{3 * time.Second, 3 * time.Second},
		{-time.Hour, time.Second}, // the clock was set back
		{time.Second, time.Second},
	} {
		*at = at.Add(c.advance)
		g.closeWindows(*at)
		ws := g.Windows(t.Context(), 0)
		w := ws[len(ws)-1]
		if w.Length != c.length || !w.End().Equal(*at) {
			t.Errorf("after %s the window is %s long and ends %s", c.advance, w.Length, w.End())
		}
		for i := 1; i < len(ws); i++ {
			if ws[i].Cursor <= ws[i-1].Cursor {
				t.Errorf("cursor %d comes after %d", ws[i].Cursor, ws[i-1].Cursor)
			}
		}
	}
	n := now(g, 0)
	g.closeWindows(*at)
	if now(g, 0) != n {
		t.Error("no time passed, and a window closed")
	}
	if first := g.Windows(t.Context(), 0)[0]; !first.Start.Equal(begun) {
		t.Errorf("the first window begins at %s", first.Start)
	}
}

func TestWindowsAreKeptForAsLongAsTheRingIs(t *testing.T) {
	t.Parallel()
	g, at := stopped(t, Config{Ring: 5, After: 1 << 60})
	for range 20 {
		*at = at.Add(time.Second)
		g.closeWindows(*at)
	}
	ws := g.Windows(t.Context(), 0)
	if len(ws) != 5 || ws[0].Cursor <= 1<<60 {
		t.Errorf("kept %d: %+v", len(ws), ws)
	}
	if n := now(g, ws[2].Cursor); n != 2 {
		t.Errorf("%d come after the third", n)
	}
	if n := now(g, ws[4].Cursor); n != 0 {
		t.Errorf("%d come after the last", n)
	}
}

func TestResourcesGoIntoTheOpenWindow(t *testing.T) {
	t.Parallel()
	var g *Gateway
	g, at := stopped(t, Config{BeforeClose: func() {
		g.AddResource(orders, 1, Resource{CPU: 0.25, CPULimit: 1, Memory: 100, MemoryLimit: 1000})
		g.AddResource(orders, 1, Resource{CPU: 0.5, CPULimit: 1, Memory: 300, MemoryLimit: 2000, Restarts: 1})
		g.AddResource(orders, 1, Resource{Memory: 200})
		g.AddResource(orders, 9, Resource{CPU: 1}) // nobody knows it
	}})
	for range 2 {
		*at = at.Add(time.Second)
		g.closeWindows(*at)
	}
	ws := g.Windows(t.Context(), 0)
	if len(ws) != 2 {
		t.Fatalf("%d windows", len(ws))
	}
	for _, w := range ws {
		if w.CPU != 0.75 || w.CPULimit != 2 || w.Memory != 300 || w.MemoryLimit != 2000 || w.Restarts != 1 {
			t.Errorf("window is %+v", w)
		}
	}
}

func TestR11_IdleIsSinceTheLastWindowWithRequests(t *testing.T) {
	t.Parallel()
	g, at := stopped(t, Config{})
	b := newBackend(t, "a", says("ok"))
	g.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	if got := g.Idle(orders); !got.Equal(*at) {
		t.Errorf("idle since %s at the start", got)
	}
	*at = at.Add(10 * time.Second)
	tk, ref := g.admit(arrival{host: "x", path: "/"})
	if ref != nil {
		t.Fatal(ref)
	}
	tk.begin(nil)
	tk.count(outcome{status: http.StatusOK})
	tk.count(outcome{status: http.StatusOK}) // counts once
	tk.finish()
	g.closeWindows(*at)
	busy := *at
	*at = at.Add(10 * time.Second)
	g.closeWindows(*at)
	if got := g.Idle(orders); !got.Equal(busy) {
		t.Errorf("idle since %s, not since %s", got, busy)
	}
	if got := g.Idle(rollout.Key{App: "no", Env: "such", Workload: "one"}); !got.IsZero() {
		t.Errorf("an unknown workload is idle since %s", got)
	}
	if ws := g.Windows(t.Context(), 0); ws[0].Requests != 1 || ws[1].Requests != 0 {
		t.Errorf("windows are %+v", ws)
	}
}

func TestWhatNobodyNamesIsForgotten(t *testing.T) {
	t.Parallel()
	g, at := stopped(t, Config{})
	b := newBackend(t, "a", says("ok"))
	g.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	if err := g.Apply(Table{Stamp: g.table.Load().stamp}); err != nil { // the same stamp: nothing happens
		t.Fatal(err)
	}
	next := Table{Stamp: g.table.Load().stamp}
	next.Stamp.Revision++
	if err := g.Apply(next); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		*at = at.Add(time.Second)
		g.closeWindows(*at)
	}
	if g.known(orders, 1) == nil {
		t.Error("a version with a ready instance was forgotten")
	}
	g.SetInstances(orders, 1, nil)
	for range 200 {
		*at = at.Add(time.Second)
		g.closeWindows(*at)
	}
	if g.known(orders, 1) != nil {
		t.Error("a version that nobody names is remembered")
	}
}

func TestConfigNamesTheBadKey(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]Config{
		"Epoch":        {},
		"InternalPort": {Epoch: "e", InternalPort: 70000},
		"Ring":         {Epoch: "e", Ring: -1},
		"Drain":        {Epoch: "e", Drain: -1},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestWithoutATableRequestsAreToldToComeBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	for range 2 {
		if status, _, body := r.get(t, "/"); status != http.StatusServiceUnavailable || !strings.Contains(body, "no routing table") {
			t.Errorf("%d %s", status, body)
		}
	}
}
