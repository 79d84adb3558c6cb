package local

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"titrate/internal/cgroup"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

const (
	killed  = "was killed: it used more than its memory limit of 64 MB"
	tooMuch = killed + " after "
)

// withGroups skips a test that needs a machine with control groups.
func (b *bench) withGroups() *bench {
	b.t.Helper()
	if why := b.cfg.Groups.Why(); why != "" {
		b.t.Skip("this machine allows no control groups: " + why)
	}
	return b
}

// limited is run with limits.
func limited(v rollout.Version, l world.Limits, mode ...string) world.Fleet {
	f := run(v, 1, mode...)
	f.Limits = l
	return f
}

// groupOf returns the group of an instance, as it is stored.
func (b *bench) groupOf(id string) cgroup.Group {
	b.t.Helper()
	var rec instanceRecord
	if ok, err := load(b.layout.instance(orders, id), &rec); !ok || err != nil {
		b.t.Fatalf("%v, %v", ok, err)
	}
	return rec.Group
}

// TestLimits_aCandidateThatNeedsMoreMemoryIsKilled says so in its failure, and the
// stable version beside it notices nothing.
func TestLimits_aCandidateThatNeedsMoreMemoryIsKilled(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t)).withGroups()
	b.want(run(1, 1, "serve"))
	at := b.untilReady(1, 1)
	before, _ := b.Seen()
	b.want(run(1, 1, "serve"), limited(2, world.Limits{Memory: 64 << 20}, "hog"))
	seen := b.until("a failure", func(s Seen) bool { return s.fleet(2).Failure != "" && s.fleet(2).Restarts > 1 })
	if !strings.HasPrefix(seen.fleet(2).Failure, "orders-v2-a "+tooMuch) {
		t.Errorf("%q", seen.fleet(2).Failure)
	}
	if seen.instance("orders-v1-a").PID != before.instance("orders-v1-a").PID || seen.fleet(1).Restarts != 0 || len(b.groupOf("orders-v1-a")) != 0 {
		t.Errorf("the limits of a candidate reach what is stable: %+v", seen)
	}
	if got := get(t, at[0].Addr, "/grow?mb=100"); got != "100" {
		t.Error(got)
	}
	b.want(run(1, 1, "serve"))
	b.until("it is gone", func(s Seen) bool { return len(s.Instances) == 1 })
	if base := filepath.Dir(b.cfg.Groups.Mounts()[0]); exists(filepath.Join(base, "memory", groupsOf(b.boot))) {
		t.Error("its group stays")
	}
}

// TestLimits_aReadyInstanceIsKilledWhole also where the kernel takes one of its
// processes only.
func TestLimits_aReadyInstanceIsKilledWhole(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t)).withGroups()
	b.want(limited(1, world.Limits{Memory: 64 << 20}, "hog-child"))
	b.until("the cause is told", func(s Seen) bool { return strings.HasPrefix(s.instance("orders-v1-a").Last, tooMuch) })
}

// TestLimits_restartsSayThatItWasMemory of one that was ready before.
func TestLimits_restartsSayThatItWasMemory(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t)).withGroups()
	b.want(limited(1, world.Limits{Memory: 64 << 20}, "serve"))
	at := b.untilReady(1, 1)
	_ = tryGet("http://" + at[0].Addr + "/grow?mb=100")
	seen := b.until("a restart", func(s Seen) bool { return s.fleet(1).Restarts == 1 && s.fleet(1).Ready == 1 })
	if in := seen.instance("orders-v1-a"); !strings.HasPrefix(in.Last, tooMuch) || seen.fleet(1).Failure != "" {
		t.Errorf("%+v", seen)
	}
	b.stop()
	b = newBench(t, b.dir)
	b.until("it is told again", func(s Seen) bool { return strings.HasPrefix(s.instance("orders-v1-a").Last, tooMuch) })
}

func TestLimits_aForkBombIsBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t)).withGroups()
	b.want(limited(1, world.Limits{Processes: 40}, "serve"))
	at := b.untilReady(1, 1)
	n, said, _ := strings.Cut(get(t, at[0].Addr, "/fork?n=100"), " ")
	if made, err := strconv.Atoi(n); err != nil || made < 5 || made > 40 || !strings.Contains(said, "resource temporarily unavailable") {
		t.Errorf("%s %s", n, said)
	}
	_ = tryGet("http://" + at[0].Addr + "/exit")
	b.until("the cause is told", func(s Seen) bool {
		return strings.HasSuffix(s.instance("orders-v1-a").Last, "; it reached its limit of 40 processes")
	})
}

// TestLimits_outliveTheNode that made them: a later one finds the group, tells what
// happened in between, and removes what an instance that nobody knows has left.
func TestLimits_outliveTheNode(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t)).withGroups()
	b.want(limited(1, world.Limits{Memory: 64 << 20, CPU: 500, Processes: 100}, "serve"))
	at := b.untilReady(1, 1)
	group := b.groupOf("orders-v1-a")
	orphan, err := b.cfg.Groups.Make("cofe.production.orders-v9-z", cgroup.Limits{Memory: 64 << 20})
	if err != nil || len(group) == 0 {
		t.Fatal(group, err)
	}
	text := ""
	for _, dir := range group {
		for _, file := range []string{"cpu.max", "cpu.cfs_quota_us", "pids.max"} {
			b, _ := os.ReadFile(filepath.Join(dir, file))
			text += string(b)
		}
	}
	if text != "50000\n100\n" && text != "50000 100000\n100\n" {
		t.Errorf("%q", text)
	}
	b.stop()
	_ = tryGet("http://" + at[0].Addr + "/grow?mb=100") // killed while nobody looks
	b = prepare(t, b.dir)
	b.want(limited(1, world.Limits{Memory: 64 << 20}, "serve"))
	b.start()
	b.until("the cause is told", func(s Seen) bool {
		return strings.HasPrefix(s.instance("orders-v1-a").Last, killed)
	})
	b.untilReady(1, 1)
	if exists(orphan[0]) {
		t.Error("the group of what nobody knows stays")
	}
	b.want()
	b.until("all are gone", func(s Seen) bool { return len(s.Instances) == 0 })
	for _, dir := range group {
		if exists(filepath.Dir(dir)) {
			t.Errorf("%s stays", filepath.Dir(dir))
		}
	}
}

// TestLimits_areRestoredByTheNextNode where they were lifted, as they are under systemd
// before 254 for as long as no keeper runs.
func TestLimits_areRestoredByTheNextNode(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t)).withGroups()
	b.want(limited(1, world.Limits{Processes: 40}, "serve"))
	b.untilReady(1, 1)
	group := b.groupOf("orders-v1-a")
	b.stop()
	for _, dir := range group {
		if err := os.WriteFile(filepath.Join(dir, "pids.max"), []byte("max"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b = prepare(t, b.dir)
	b.want(limited(1, world.Limits{Processes: 40}, "serve"))
	b.start()
	b.untilReady(1, 1)
	for _, dir := range group {
		if max, err := os.ReadFile(filepath.Join(dir, "pids.max")); err != nil || string(max) != "40\n" {
			t.Errorf("%s: %q, %v", dir, max, err)
		}
	}
}

// TestLimits_goOnWhenTheNodeIsKilled both for what is killed for its memory in
// between, which the next node tells, and for what is killed after.
func TestLimits_goOnWhenTheNodeIsKilled(t *testing.T) {
	t.Parallel()
	if why := cgroup.Find("titrate-none", cgroup.Unit{}).Why(); why != "" {
		t.Skip("this machine allows no control groups: " + why)
	}
	in := newInstall(t)
	fleet := limited(1, world.Limits{Memory: 64 << 20}, "serve")
	fleet.Count = 2
	in.want(world.Wanted{Workloads: []world.Workload{{Key: orders, Fleets: []world.Fleet{fleet}}}})
	before := in.until("ready", func(s Seen) bool { return s.fleet(1).Ready == 2 })
	a, b := before.instance("orders-v1-a"), before.instance("orders-v1-b")
	in.killNode(func() { _ = tryGet("http://" + a.Addr + "/grow?mb=100") })
	after := in.until("taken back", func(s Seen) bool { return s.fleet(1).Ready == 2 && s.fleet(1).Restarts == 1 })
	if got := after.instance("orders-v1-b"); got.PID != b.PID || got.Last != "" {
		t.Errorf("the limit of one reached the other: %+v", after)
	}
	if got := after.instance("orders-v1-a"); !strings.HasPrefix(got.Last, killed) {
		t.Errorf("%+v", got)
	}
	_ = tryGet("http://" + b.Addr + "/grow?mb=100")
	in.until("the cause is told", func(s Seen) bool { return strings.HasPrefix(s.instance("orders-v1-b").Last, killed+" after ") })
}

// TestLimits_hooksHaveThoseOfTheirVersion and say so.
func TestLimits_hooksHaveThoseOfTheirVersion(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t)).withGroups()
	hook := world.Hook{
		Key: "r1/orders/preTraffic", Workload: orders, Kind: rollout.HookPreTraffic, Command: "echo smoking; exec ./app grow 200",
		Fleet: limited(1, world.Limits{Memory: 64 << 20, Processes: 50}),
	}
	b.apply(world.Wanted{Hooks: []world.Hook{hook}})
	seen := b.until("the hook has ended", func(s Seen) bool { got, ok := s.Hooks[hook.Key]; return ok && !got.Running })
	if got := seen.Hooks[hook.Key]; got.Exit != 137 || got.Log != "smoking\nthe hook was killed: it used more than its memory limit of 64 MB" {
		t.Errorf("%+v", got)
	}
	b.until("its group is gone", func(Seen) bool {
		left, _ := filepath.Glob("/sys/fs/cgroup/*/" + groupsOf(b.boot) + "*")
		return len(left) == 0
	})
}

// TestLimits_cannotBeLifted by who has them.
func TestLimits_cannotBeLifted(t *testing.T) {
	t.Parallel()
	if len(Confinement()) > 0 {
		t.Skip(Confinement()[0])
	}
	b := newBench(t, newFolder(t)).withGroups()
	b.want(limited(1, world.Limits{Memory: 64 << 20}, "serve"))
	at := b.untilReady(1, 1)
	dir := b.groupOf("orders-v1-a")[0]
	if got := get(t, at[0].Addr, "/write?path="+dir+"/memory.limit_in_bytes"); !strings.Contains(got, "permission denied") {
		t.Error(got)
	}
	if got := get(t, at[0].Addr, "/read?path="+dir+"/memory.limit_in_bytes"); !strings.Contains(got, "nil") {
		t.Error("a runtime cannot see how much memory it has:", got)
	}
}

// TestLimits_areWhatUseIsMeasuredAgainst in the windows that alarms read: two
// instances of half a core may use a core together.
func TestLimits_areWhatUseIsMeasuredAgainst(t *testing.T) {
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
	}).withGroups()
	f := limited(1, world.Limits{Memory: 64 << 20, CPU: 500}, "serve")
	f.Count = 2
	b.want(f)
	b.untilReady(1, 2)
	for s := range got {
		if s.MemoryLimit == 64<<20 && s.CPULimit > 0.9 && s.Memory > 0 && s.Memory < s.MemoryLimit {
			return
		}
		if s.MemoryLimit != 64<<20 {
			t.Errorf("%+v", s)
		}
	}
}

// TestLimits_withoutGroups watches the memory, and says what it does not keep.
func TestLimits_withoutGroups(t *testing.T) {
	t.Parallel()
	none := func(c *Config) { c.Groups = cgroup.None("the test has none") }
	b := newBench(t, newFolder(t), none)
	said := strings.Join(b.Confinement(), "\n")
	if want := "limits.memory is kept by a look once a second, and cpu and processes not at all: the test has none."; !strings.Contains(said, want) {
		t.Error(said)
	}
	b.want(limited(1, world.Limits{Memory: 64 << 20, Processes: 20, CPU: 100}, "serve"))
	at := b.untilReady(1, 1)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at[0].Addr+"/grow?mb=100", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := http.DefaultClient.Do(req); err == nil { // it may be ended before it answers
		res.Body.Close()
	}
	b.until("the cause is told", func(s Seen) bool { return strings.HasPrefix(s.instance("orders-v1-a").Last, tooMuch) })
	hook := world.Hook{
		Key: "r1/orders/release", Workload: orders, Kind: rollout.HookRelease, Command: "exec ./app hog-wait",
		Fleet: limited(1, world.Limits{Memory: 64 << 20}),
	}
	b.apply(world.Wanted{Hooks: []world.Hook{hook}})
	seen := b.until("the hook has ended", func(s Seen) bool { got, ok := s.Hooks[hook.Key]; return ok && !got.Running })
	if got := seen.Hooks[hook.Key]; got.Exit != 137 || got.Log != "the hook "+killed {
		t.Errorf("%+v", got)
	}
}
