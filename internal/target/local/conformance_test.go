package local

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/target/local/namespaces"
	"titrate/internal/target/local/within"
	"titrate/internal/world"
)

// kind is a way in which versions run. Whatever it is, the same is promised.
type kind struct {
	name    string
	need    func(testing.TB)                // skips where it cannot be had
	prepare func(tb testing.TB, dir string) // makes what it runs, in a data folder
	fleet   func(world.Fleet) world.Fleet   // makes a fleet of processes one of this kind
	image   bool                            // it has a network of its own
	slack   time.Duration                   // what its start takes beyond that of the others
	counts  bool                            // it tells of processes that were left behind
	loose   bool                            // of limits it keeps that of memory alone
}

var kinds = []kind{
	{name: "process", need: func(testing.TB) {}, prepare: func(testing.TB, string) {}, fleet: func(f world.Fleet) world.Fleet { return f }},
	{name: "namespaces", need: needImages, prepare: addPicture, fleet: imaged, image: true, counts: true},
}

// promise is one thing that holds of every kind.
type promise struct {
	name string
	test func(trial)
	user bool // it may depend on who runs the engine
}

// trial is what a promise is tried on.
type trial struct {
	t   *testing.T
	k   kind
	dir string // a data folder
}

var promises = []promise{
	{"two versions run side by side, and drain", sideBySide, true},
	{"what ignores SIGTERM is killed", ignoresTerm, true},
	{"what crashes is started again, and its last lines are told", crashes, false},
	{"a command that forks and ends has failed", forksAndEnds, false},
	{"where it listens instead is told", wrongPort, false},
	{"a health path that redirects is no health", redirects, false},
	{"the next supervisor takes it back", takenBack, true},
	{"a hook ends with its exit status", hooks, true},
	{"what is killed is started again and counted", isKilled, false},
	{"an unwell instance is not drawn", unwell, false},
	{"fellow services are reached", fellows, true},
	{"fellows are reached by name", byName, true},
	{"secrets stay out of the log", secretsStay, false},
	{"its usage is told", samples, true},
	{"limits are kept", limitsKept, true},
	{"what it writes to a volume is there in the next version", remembers, true},
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			k.need(t)
			keeps(t, k, false)
		})
	}
}

// keeps tests that a kind keeps every promise; brief: those that may depend on who runs
// its engine.
func keeps(t *testing.T, k kind, brief bool) {
	t.Helper()
	for _, p := range promises {
		if brief && !p.user {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			dir := newFolder(t)
			k.prepare(t, dir)
			p.test(trial{t, k, dir})
		})
	}
}

func remembers(tr trial) {
	t, k, dir := tr.t, tr.k, tr.dir
	b := newBench(t, dir)
	one, two := k.fleet(writing(1, 1, alone, "remember")), k.fleet(writing(2, 1, alone, "remember"))
	b.want(one)
	b.untilReady(1, 1)
	b.want(two)
	b.untilReady(2, 1)
	b.until("it remembers", func(Seen) bool {
		return slices.ContainsFunc(b.logs(world.LogQuery{Workload: orders.Workload}), func(l world.LogLine) bool { return l.Text == "remembers v1 v2" })
	})
}

func sideBySide(tr trial) {
	t, k, dir := tr.t, tr.k, tr.dir
	b := newBench(t, dir)
	one, two := k.fleet(run(1, 2, "serve")), k.fleet(run(2, 1, "serve"))
	b.want(one, two)
	old, young := b.untilReady(1, 2), b.untilReady(2, 1)
	if !strings.Contains(get(t, old[0].Addr, "/env"), "TITRATE_VERSION=v1") || !strings.Contains(get(t, young[0].Addr, "/env"), "TITRATE_VERSION=v2") {
		t.Error("they answer for each other")
	}
	b.setOpen(old[0].Addr, 1)
	one.Count = 0
	b.want(one, two)
	b.until("the idle one is gone", func(s Seen) bool { return s.instance("orders-v1-b").ID == "" })
	if got := b.endpoints(1); len(got) != 0 {
		t.Errorf("what drains is drawn: %v", got)
	}
	get(t, old[0].Addr, "/healthz") // what is open is answered still
	b.setOpen(old[0].Addr, 0)
	b.until("all of v1 is gone", func(s Seen) bool { return slices.Equal(s.ids(), []string{"orders-v2-a"}) })
	if left, err := filepath.Glob(filepath.Join(b.layout.workload(orders), "orders-v1-*")); err != nil || len(left) != 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}

func ignoresTerm(tr trial) {
	t, k, dir := tr.t, tr.k, tr.dir
	b := newBench(t, dir)
	f := k.fleet(run(1, 1, "ignore-term"))
	f.Drain = 0
	b.want(f)
	b.untilReady(1, 1)
	seen, _ := b.Seen()
	b.want()
	b.until("killed", func(s Seen) bool { return len(s.Instances) == 0 && !alive(seen.instance("orders-v1-a").PID) })
}

func crashes(tr trial) {
	t, k, dir := tr.t, tr.k, tr.dir
	b := newBench(t, dir)
	f := k.fleet(run(1, 1, "crash"))
	f.Secrets = map[string]string{"PASSWORD": "open sesame"}
	b.want(f)
	seen := b.until("it has crashed twice", func(s Seen) bool { return s.fleet(1).Restarts >= 2 })
	want := regexp.MustCompile(`^orders-v1-a exited with status 3 after \S+; its last lines:\n  cannot find the beans\n  password is \[secret\]$`)
	if got := sortedLines(seen.fleet(1).Failure); !want.MatchString(got) {
		t.Errorf("failure: %q", got)
	}
}

// sortedLines sorts the lines that a program wrote to two outputs, after the first.
func sortedLines(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines[1:])
	return strings.Join(lines, "\n")
}

func forksAndEnds(tr trial) {
	t, k, dir := tr.t, tr.k, tr.dir
	b := newBench(t, dir)
	b.want(k.fleet(run(1, 1, "fork-and-exit")))
	seen := b.until("it has failed", func(s Seen) bool { return s.fleet(1).Failure != "" })
	got := seen.fleet(1).Failure
	if !strings.Contains(got, "exited with status 0") || k.counts && !strings.Contains(got, "left 1 of its processes behind") {
		t.Errorf("failure: %q", got)
	}
}

func wrongPort(tr trial) {
	t, k, dir := tr.t, tr.k, tr.dir
	b := newBench(t, dir)
	f := k.fleet(run(1, 1, "elsewhere", "3911"))
	f.StartTimeout = 3*time.Second + k.slack
	b.want(f)
	seen := b.until("it is late", func(s Seen) bool { return s.fleet(1).Failure != "" })
	got := seen.fleet(1).Failure
	if !strings.Contains(got, "was not ready in "+f.StartTimeout.String()+": GET :") || !strings.Contains(got, "/healthz → connection refused") || !strings.Contains(got, "the process listens on :3911") {
		t.Errorf("failure: %q", got)
	}
	if k.image && !strings.Contains(got, "GET :8080/healthz") {
		t.Errorf("it tells a port that the program does not know: %q", got)
	}
}

func redirects(tr trial) {
	t, k, dir := tr.t, tr.k, tr.dir
	b := newBench(t, dir)
	f := k.fleet(run(1, 1, "serve"))
	f.Health, f.StartTimeout = "/moved", 2*time.Second+k.slack
	b.want(f)
	seen := b.until("it is late", func(s Seen) bool { return s.fleet(1).Failure != "" })
	if got := seen.fleet(1).Failure; !strings.Contains(got, "/moved → status 302 to /login, name a path that answers itself") {
		t.Errorf("failure: %q", got)
	}
}

func takenBack(tr trial) {
	t, k, dir := tr.t, tr.k, tr.dir
	a := newBench(t, dir)
	f := k.fleet(run(1, 2, "serve"))
	f.Secrets = map[string]string{"PASSWORD": "open sesame"}
	a.want(f)
	ready := a.untilReady(1, 2)
	before, _ := a.Seen()
	a.stop()
	get(t, ready[0].Addr, "/print?text=while+nobody+watches:+open+sesame")
	b := newBench(t, dir)
	if got := b.untilReady(1, 2); !slices.Equal(got, ready) {
		t.Errorf("taken back: %v, want %v", got, ready)
	}
	b.until("its output", func(Seen) bool {
		return len(b.logs(world.LogQuery{Contains: "while nobody watches: [secret]"})) == 1
	})
	b.want(f)
	after, _ := b.Seen()
	if a, b := before.pids(), after.pids(); fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("processes %v, then %v", a, b)
	}
	b.want()
	b.until("gone", func(s Seen) bool { return len(s.Instances) == 0 })
	if tryGet("http://"+ready[0].Addr+"/") == nil {
		t.Error("it answers still")
	}
}

func hooks(tr trial) {
	t, k, dir := tr.t, tr.k, tr.dir
	b := newBench(t, dir)
	hook := func(key, command string) world.Hook {
		h := b.hook(key, command, time.Minute)
		fleet := k.fleet(run(1, 0, "serve"))
		fleet.Secrets = h.Fleet.Secrets
		h.Fleet = fleet
		return h
	}
	slow := hook("slow", "read forever </dev/stderr") // it has no sleep
	slow.Timeout = 200 * time.Millisecond
	b.apply(world.Wanted{Hooks: []world.Hook{
		hook("good", `echo "migrated with $PASSWORD in $TITRATE_VERSION"`), hook("bad", `echo no >&2; exit 9`), hook("shot", `kill -9 $$`), slow,
	}})
	seen := b.until("all ended", func(s Seen) bool {
		for _, h := range s.Hooks {
			if h.Running {
				return false
			}
		}
		return len(s.Hooks) == 4
	})
	for key, want := range map[string]rollout.HookResult{
		"good": {Log: "migrated with [secret] in v1"}, "bad": {Exit: 9, Log: "no"}, "shot": {Exit: 137}, "slow": {TimedOut: true},
	} {
		if got := seen.Hooks[key]; got != want {
			t.Errorf("%s: %+v, want %+v", key, got, want)
		}
	}
}

func isKilled(tr trial) {
	t, k, dir := tr.t, tr.k, tr.dir
	b := newBench(t, dir)
	b.want(k.fleet(run(1, 1, "serve")))
	b.untilReady(1, 1)
	seen, _ := b.Seen()
	first := familyOf(t, seen.instance("orders-v1-a").PID)
	kill9(t, first.pid)
	b.until("started again", func(s Seen) bool { return s.fleet(1).Restarts == 1 && s.fleet(1).Ready == 1 })
	if got := b.untilReady(1, 1); tryGet("http://"+got[0].Addr+"/exit") == nil {
		t.Error("it answers from the grave")
	}
	b.until("started again", func(s Seen) bool { return s.fleet(1).Restarts == 2 && s.fleet(1).Ready == 1 })
	if left := first.session(); len(left) > 0 {
		t.Errorf("of the first one processes %v run on", left)
	}
}

func unwell(tr trial) {
	t, k, dir := tr.t, tr.k, tr.dir
	b := newBench(t, dir)
	b.want(k.fleet(run(1, 1, "serve")))
	e := b.untilReady(1, 1)[0]
	get(t, e.Addr, "/sick?is=true")
	b.untilReady(1, 0)
	get(t, e.Addr, "/sick?is=false")
	b.untilReady(1, 1)
}

func fellows(tr trial) {
	t, k, dir := tr.t, tr.k, tr.dir
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "from the back, "+r.URL.Path) }))
	t.Cleanup(back.Close)
	b := newBench(t, dir, func(c *Config) {
		c.URLs = func(rollout.Key, []string) map[string]string { return map[string]string{"back": back.URL} }
	})
	f := k.fleet(run(1, 2, "serve"))
	f.Uses = []string{"back"}
	f.Addresses = map[string]rollout.Address{"BACK": {Service: "back", As: rollout.AddressHostPort}}
	f.Env = map[string]string{"DATABASE_URL": "postgres://u:p@" + strings.TrimPrefix(back.URL, "http://") + "/db"}
	b.want(f)
	for _, e := range b.untilReady(1, 2) {
		for _, url := range []string{"$TITRATE_URL_BACK/a", "http://$BACK/a"} {
			if got := get(t, e.Addr, "/fetch?url="+url); got != "from the back, /a" {
				t.Errorf("%s: %q", url, got)
			}
		}
	}
}

func byName(tr trial) {
	t, k, dir := tr.t, tr.k, tr.dir
	if !k.image {
		t.Skip("a process has the machine's names")
	}
	ln, err := net.Listen("tcp", "127.16.0.9:0")
	if err != nil {
		t.Fatal(err)
	}
	back := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host+r.URL.Path) }))
	back.Listener.Close()
	back.Listener = ln
	back.Start()
	t.Cleanup(back.Close)
	t.Cleanup(func() {
		if err := namespaces.Remove(filepath.Join(dir, "accessories"), insideThis); err != nil { // who made them are not all we
			t.Error(err)
		}
	})
	b := newBench(t, dir, func(c *Config) {
		c.URLs = func(_ rollout.Key, names []string) map[string]string {
			out := map[string]string{}
			for _, name := range names {
				out[name] = back.URL
			}
			return out
		}
	})
	f := k.fleet(run(1, 1, "serve"))
	f.Port, f.Uses, f.Accessories = 8080, []string{"back", "same", "later"}, map[string]string{"DATABASE_URL": "db"}
	fellow := func(name string, ports ...int) world.Workload {
		return world.Workload{Key: rollout.Key{App: orders.App, Env: orders.Env, Workload: name}, Ports: ports}
	}
	b.apply(world.Wanted{
		Workloads:   []world.Workload{{Key: orders, Ports: []int{8080}, Fleets: []world.Fleet{f}}, fellow("back", 9911, 3000), fellow("same", 8080), fellow("unused", 9912)},
		Accessories: []world.Accessory{remembering("one", k.fleet(run(1, 1, "serve")))},
	})
	e := b.untilReady(1, 1)[0]
	for url, want := range map[string]string{
		"http://back:9911/a": "back:9911/a", "http://back:3000/b": "back:3000/b", "http://back/c": "back/c", "http://db:3306/exists": "404",
		"http://same:8080/d": "same:8080/d", // and not the program itself, which listens there
	} {
		if got := get(t, e.Addr, "/fetch?url="+url); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
	if hosts := get(t, e.Addr, "/cat?path=/etc/hosts"); !strings.Contains(hosts, "back") || regexp.MustCompile("later|unused").MatchString(hosts) {
		t.Errorf("hosts: %s", hosts)
	}
}

func secretsStay(tr trial) {
	t, k, dir := tr.t, tr.k, tr.dir
	b := newBench(t, dir)
	f := k.fleet(run(1, 1, "serve"))
	f.Secrets = map[string]string{"PASSWORD": "open sesame"}
	b.want(f)
	e := b.untilReady(1, 1)[0]
	if got := get(t, e.Addr, "/env"); !strings.Contains(got, "PASSWORD=open sesame") {
		t.Errorf("it was not given: %s", got)
	}
	get(t, e.Addr, "/print?text=it+is+open+sesame")
	b.until("its line", func(Seen) bool { return len(b.logs(world.LogQuery{Contains: "it is [secret]"})) == 1 })
}

func samples(tr trial) {
	t, k, dir := tr.t, tr.k, tr.dir
	told := make(chan Sample, 100)
	b := newBench(t, dir, func(c *Config) {
		c.OnSample = func(all []Sample) {
			for _, s := range all {
				if s.Memory > 0 && s.CPU > 0 {
					select {
					case told <- s:
					default:
					}
				}
			}
		}
	})
	b.want(k.fleet(run(1, 1, "serve")))
	e := b.untilReady(1, 1)[0]
	for end := time.After(30 * time.Second); ; {
		for range 200 {
			get(t, e.Addr, "/healthz")
		}
		select {
		case s := <-told:
			if s.Memory < 1<<20 || s.Version != 1 {
				t.Errorf("sample: %+v", s)
			}
			return
		case <-end:
			t.Fatal("no sample, " + strconv.Itoa(len(told)))
		default:
		}
	}
}

func limitsKept(tr trial) {
	t, k, dir := tr.t, tr.k, tr.dir
	b, allowance := newBench(t, dir), 0
	if k.name != "engine" { // which keeps them itself
		b.withGroups()
	}
	if k.image {
		allowance = within.Memory
	}
	small, few := k.fleet(limited(1, world.Limits{Memory: 64 << 20}, "serve")), k.fleet(limited(2, world.Limits{Processes: 40}, "serve"))
	b.want(small, few)
	at := b.untilReady(1, 1)[0].Addr
	// What an engine shows of its control groups is its own.
	if got := get(t, at, "/memory"); k.name != "engine" && !strings.HasPrefix(got, strconv.Itoa(64<<20+allowance)) {
		t.Errorf("it sees a limit of %s", got)
	}
	if got := get(t, at, "/write?path=/sys/fs/cgroup/memory/memory.limit_in_bytes"); got == "<nil>" {
		t.Error("it can change its limit")
	}
	if got := get(t, at, "/grow?mb=1"); got != "1" {
		t.Errorf("what is allowed is %s", got)
	}
	_ = tryGet("http://" + at + "/grow?mb=100")
	b.until("it is killed for its memory", func(s Seen) bool { return strings.HasPrefix(s.instance("orders-v1-a").Last, tooMuch) })
	b.until("it is back", func(s Seen) bool { return s.fleet(1).Ready == 1 })
	if k.loose {
		return
	}
	n, said, _ := strings.Cut(get(t, b.untilReady(2, 1)[0].Addr, "/fork?n=100"), " ")
	if made, err := strconv.Atoi(n); err != nil || made < 5 || made > 40+within.Processes || !strings.Contains(said, "resource temporarily unavailable") {
		t.Errorf("forked %s %s", n, said)
	}
}
