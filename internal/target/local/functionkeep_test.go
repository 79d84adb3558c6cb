package local

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"titrate/internal/invocation"
	"titrate/internal/target/local/keepalive"
	"titrate/internal/world"
)

// clock is one that a test puts forward.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

func TestFunction_scalesToZeroAndIsWarmedAhead(t *testing.T) {
	t.Parallel()
	at := &clock{}
	b := newBench(t, newFolder(t), func(c *Config) { c.Now = at.now })
	b.wantFn(nil, fnFleet(1, "function"))
	c := b.callee(1)
	b.tell(c)
	at.forward(50 * time.Second)
	b.tend()
	if idle, _, _ := b.function(1).pool.Count(); idle != 1 {
		t.Error("what was asked for is not kept for a minute")
	}
	at.forward(keepalive.Default().Standard + time.Minute)
	b.tend()
	seen := b.until("it has no instance", func(s Seen) bool { return len(s.Instances) == 0 })
	if seen.fleet(1).Ready != 1 || len(b.endpoints(1)) != 1 {
		t.Errorf("a function without an instance is not ready: %+v", seen)
	}
	_, called := b.try(c, `{"do":"tell"}`)
	if called.Failure != "" || !called.Cold {
		t.Errorf("%+v", called)
	}
	// It is called every hour: an instance is not kept all the time, and is there before.
	for range 20 {
		at.forward(time.Hour)
		if _, called = b.try(c, `{"do":"tell"}`); called.Failure != "" {
			t.Fatalf("%+v", called)
		}
	}
	b.tend()
	b.until("it is not kept", func(s Seen) bool { return len(s.Instances) == 0 })
	at.forward(57 * time.Minute)
	b.tend()
	b.until("it is there before", func(s Seen) bool { return len(s.Instances) == 1 && s.Instances[0].State == world.InstanceReady })
	if _, called = b.try(c, `{"do":"tell"}`); called.Cold || called.Failure != "" {
		t.Errorf("%+v", called)
	}
	b.stop()
	var h keepalive.History
	if ok, err := load(b.layout.past(orders), &h); err != nil || !ok || h.Windows(keepalive.Default()).Why != keepalive.WhyHistogram {
		t.Errorf("what was learned is not kept: %v %v %+v", ok, err, h.Windows(keepalive.Default()))
	}
}

func TestFunction_keepsItsLeast(t *testing.T) {
	t.Parallel()
	at := &clock{}
	b := newBench(t, newFolder(t), func(c *Config) { c.Now = at.now })
	f := fnFleet(1, "function")
	f.Scale.Min = 2
	b.wantFn(nil, f)
	b.callee(1)
	b.tend()
	b.until("two are there", func(s Seen) bool {
		n := 0
		for _, in := range s.Instances {
			if in.State == world.InstanceReady {
				n++
			}
		}
		return n == 2
	})
	at.forward(24 * time.Hour)
	b.tend()
	if idle, _, _ := b.function(1).pool.Count(); idle != 2 {
		t.Errorf("%d are left", idle)
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	end := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	standard := keepalive.Windows{Keep: 20 * time.Minute}
	hourly := keepalive.Windows{PreWarm: 54 * time.Minute, Keep: 12 * time.Minute}
	for name, c := range map[string]struct {
		windows keepalive.Windows
		ended   time.Time
		after   time.Duration
		want    action
	}{
		"nothing is known":          {standard, end, time.Minute, action{keep: 20 * time.Minute}},
		"at work":                   {hourly, time.Time{}, 0, action{keep: 12 * time.Minute}},
		"at work, windows are thin": {keepalive.Windows{PreWarm: time.Minute, Keep: time.Second}, time.Time{}, 0, action{keep: time.Minute}},
		"long before the next":      {hourly, end, time.Minute, action{}},
		"just before the next":      {hourly, end, 55 * time.Minute, action{start: true, keep: 12 * time.Minute}},
		"it has not come":           {hourly, end, 2 * time.Hour, action{}},
	} {
		if got := decide(c.windows, c.ended, end.Add(c.after)); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestAccount_concurrencyIsOfTheLastFiveMinutes(t *testing.T) {
	t.Parallel()
	a, now := &account{past: &past{}}, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 3 {
		a.begin(now)
	}
	for range 3 {
		a.end(now, true)
	}
	now = now.Add(4 * time.Minute)
	a.begin(now)
	if n, most := a.seen(now); n != 3 || most != 3 {
		t.Errorf("after four minutes: %d invoked, %d at a time", n, most)
	}
	now = now.Add(2 * time.Minute)
	if _, most := a.seen(now); most != 1 {
		t.Errorf("after six minutes: %d at a time", most)
	}
	now = now.Add(time.Hour) // one that takes long is still at work
	if _, most := a.seen(now); most != 1 {
		t.Errorf("after an hour: %d at a time", most)
	}
	a.end(now, false)
	if n, _ := a.seen(now); n != 3 {
		t.Errorf("%d invoked: one was no invocation", n)
	}
}

func TestR11_invocationsAreStored(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	b := newBench(t, dir)
	b.wantFn(nil, fnFleet(1, "function"))
	c := b.callee(1)
	b.tell(c)
	if _, called := b.try(c, `{"do":"error"}`); called.Failure != invocation.Unhandled {
		t.Fatalf("%+v", called)
	}
	if _, called := c.Invoke(t.Context(), []byte(`{}`), invocation.Call{ID: "preview"}); called.Failure != "" {
		t.Fatalf("%+v", called)
	}
	b.until("it is stored while it runs", func(Seen) bool {
		var rec fleetRecord
		_, err := load(b.layout.fleet(fleetID{orders, 1}), &rec)
		return err == nil && rec.Invoked == 2 && rec.Shown == 1
	})
	b.tell(c)
	b.stop()
	var rec fleetRecord
	if _, err := load(b.layout.fleet(fleetID{orders, 1}), &rec); err != nil || rec.Invoked != 3 {
		t.Errorf("at the end: %+v %v", rec, err)
	}
}

// TestFunction_strangersGetNoWork plays another function that has found the port.
func TestFunction_strangersGetNoWork(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.wantFn(nil, fnFleet(1, "function"))
	c := b.callee(1)
	address := ""
	for _, kv := range b.tell(c).Env {
		if name, value, _ := strings.Cut(kv, "="); name == "AWS_LAMBDA_RUNTIME_API" {
			address = value
		}
	}
	if _, err := net.ResolveTCPAddr("tcp", address); err != nil || address == "" {
		t.Fatalf("address %q: %v", address, err)
	}
	resp, err := http.Get("http://" + address + "/2018-06-01/runtime/invocation/next")
	if err == nil {
		resp.Body.Close()
		t.Errorf("a stranger is answered with %s", resp.Status)
	}
	// Whatever the function itself has connected is its own.
	if got := b.ask(c, `{"do":"get","url":"http://`+address+`/nothing"}`); got != `"404 Not Found"` {
		t.Errorf("the function itself is answered with %s", got)
	}
}

func TestFunction_samplesAreToldOfIt(t *testing.T) {
	t.Parallel()
	got := make(chan Sample, 100)
	b := newBench(t, newFolder(t), func(c *Config) {
		c.OnSample = func(all []Sample) {
			for _, s := range all {
				select {
				case got <- s:
				default:
				}
			}
		}
	})
	f := fnFleet(1, "function")
	f.Limits.Memory = 300 << 20
	b.wantFn(nil, f)
	b.callee(1)
	for deadline := time.After(time.Minute); ; {
		select {
		case s := <-got:
			if s.Version == 1 && s.Memory > 0 && s.MemoryLimit == 300<<20 {
				return
			}
		case <-deadline:
			t.Fatal("no sample tells of its memory")
		}
	}
}
