package local

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"titrate/internal/landlock"
	"titrate/internal/porttest"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

func TestConfinement_aWorkloadCannotChangeTheProgramThatRunsItNext(t *testing.T) {
	t.Parallel()
	if landlock.ABI() == 0 {
		t.Skip("this kernel has no Landlock")
	}
	program := filepath.Join(t.TempDir(), "titrate")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, newFolder(t), func(c *Config) { c.Program = program })
	f := run(1, 1)
	f.Worker = true
	f.Command = []string{"/bin/sh", "-c", "cat " + program + "; echo oops >>" + program + " || echo kept; sleep 30"}
	b.want(f)
	b.until("it has tried", func(Seen) bool {
		return slices.ContainsFunc(b.logs(world.LogQuery{Workload: orders.Workload, Last: 10}), func(l world.LogLine) bool { return l.Text == "kept" })
	})
	if text, err := os.ReadFile(program); err != nil || string(text) != "#!/bin/sh\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestSupervisor_runsWhatIsWanted(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.want(run(1, 2, "serve"))
	first := b.untilReady(1, 2)
	b.want(run(1, 3, "serve"), run(2, 1, "serve"))
	b.untilReady(2, 1)
	if more := b.untilReady(1, 3); !slices.Equal(more[:2], first) {
		t.Errorf("scaling up changed what ran: %v, then %v", first, more)
	}
	b.want(run(1, 1, "serve"))
	seen := b.until("the last instances go first", func(s Seen) bool { return slices.Equal(s.ids(), []string{"orders-v1-a"}) })
	if got := b.untilReady(1, 1); got[0] != first[0] {
		t.Errorf("%v is left, want %v", got, first[0])
	}
	if seen.fleet(1).Restarts != 0 {
		t.Errorf("restarts were counted: %+v", seen.Fleets)
	}
}

func TestR18_anOlderWorldIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	w := world.Wanted{Stamp: world.Stamp{Token: 2, Revision: 1}}
	if err := b.Apply(w); err != nil {
		t.Fatal(err)
	}
	if err := b.Apply(w); err != nil {
		t.Errorf("the same stamp again: %v", err)
	}
	w.Stamp = world.Stamp{Token: 1, Revision: 9}
	if err := b.Apply(w); !errors.Is(err, world.ErrStale) {
		t.Errorf("an older stamp: %v, want world.ErrStale", err)
	}
}

func TestApply_refusesNamesThatAreNoFolders(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	evil := orders
	evil.Workload = "../../keys"
	bad := run(1, 1, "serve")
	bad.Artifact = "../keys"
	for _, w := range []world.Workload{{Key: evil}, {Key: orders, Fleets: []world.Fleet{bad}}} {
		if err := b.Apply(world.Wanted{Stamp: world.Stamp{Token: 1}, Workloads: []world.Workload{w}}); err == nil {
			t.Errorf("%v was applied", w)
		}
	}
}

func TestSupervisor_tellsProcessesWhereTheyAre(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t), func(c *Config) {
		c.Variables = func(app, env string) map[string]string {
			return map[string]string{"QUEUES": app + "/" + env, "COLOUR": "red"}
		}
	})
	f := run(17, 1, "serve")
	f.Env = map[string]string{"COLOUR": "green"}
	f.Secrets = map[string]string{"PASSWORD": "sesame"}
	b.want(f)
	env := get(t, b.untilReady(17, 1)[0].Addr, "/env")
	for _, want := range []string{
		"TITRATE_INSTANCE=orders-v17-a", "TITRATE_APP=cofe", "TITRATE_ENV=production", "TITRATE_SERVICE=orders",
		"TITRATE_VERSION=v17", "TITRATE_RELEASE=r42", "TITRATE_COMMIT=c0ffee", "COLOUR=green", "PASSWORD=sesame", "QUEUES=cofe/production", "PORT=", "TITRATE_STATE=",
	} {
		if !strings.Contains(env, `"`+want) {
			t.Errorf("no %s in %s", want, env)
		}
	}
	if strings.Contains(env, "GOPATH") || strings.Contains(env, "USER=") {
		t.Errorf("more is inherited than PATH and LANG: %s", env)
	}
}

func TestR14_anExitEndsTheWaitAtOnceWithItsLastLines(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	f := run(1, 1, "crash")
	f.StartTimeout = time.Hour
	f.Secrets = map[string]string{"PASSWORD": "open sesame"}
	b.want(f)
	seen := b.until("a failure", func(s Seen) bool { return s.fleet(1).Failure != "" })
	failure := seen.fleet(1).Failure
	for _, want := range []string{"exited with status 3", "cannot find the beans", "password is [secret]"} {
		if !strings.Contains(failure, want) {
			t.Errorf("no %q in %q", want, failure)
		}
	}
	b.until("restarts with back-off", func(s Seen) bool { return s.fleet(1).Restarts >= 3 })
}

func TestR7_anotherAttemptForgetsTheFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	w := world.Workload{Key: orders, Rollout: 7, Attempt: 1, Fleets: []world.Fleet{run(1, 1, "crash")}}
	b.apply(world.Wanted{Workloads: []world.Workload{w}})
	seen := b.until("a failure", func(s Seen) bool { return s.fleet(1).Failure != "" && s.fleet(1).Restarts > 0 })
	w.Attempt, w.Fleets = 2, []world.Fleet{run(1, 1, "serve")} // a config error outside, repaired
	b.apply(world.Wanted{Workloads: []world.Workload{w}})
	if now, _ := b.Seen(); now.fleet(1).Failure != "" {
		t.Error("the first attempt's failure is seen after the second was applied")
	}
	b.untilReady(1, 1)
	after := b.until("no failure", func(s Seen) bool { return s.fleet(1).Failure == "" })
	if after.fleet(1).Restarts < seen.fleet(1).Restarts {
		t.Errorf("restarts un-counted: %d, then %d", seen.fleet(1).Restarts, after.fleet(1).Restarts)
	}
}

func TestR14_whatCannotBeStartedSaysWhy(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	missing := run(1, 1)
	missing.Command = []string{"./nowhere"}
	gone := run(2, 1, "serve")
	gone.Artifact = strings.Repeat("cd", 32)
	b.want(missing, gone)
	seen := b.until("failures", func(s Seen) bool { return s.fleet(1).Failure != "" && s.fleet(2).Failure != "" })
	if got := seen.fleet(1).Failure; !strings.Contains(got, "could not be started: the artifact has no file ./nowhere") {
		t.Errorf("failure: %q", got)
	}
	if got := seen.fleet(2).Failure; !strings.Contains(got, "the artifact cdcdcdcdcdcd… is missing") {
		t.Errorf("failure: %q", got)
	}
}

func TestR14_startTimeoutSaysWhereTheProcessListens(t *testing.T) {
	t.Parallel()
	port := porttest.Held(t)
	b := newBench(t, newFolder(t))
	f := run(1, 1, "elsewhere", strconv.Itoa(port))
	f.StartTimeout = 5 * time.Second // enough for it to listen elsewhere
	b.want(f)
	seen := b.until("a failure", func(s Seen) bool { return s.fleet(1).Failure != "" })
	failure := seen.fleet(1).Failure
	if !strings.Contains(failure, "/healthz → connection refused ×") || !strings.Contains(failure, "the process listens on :"+strconv.Itoa(port)) {
		t.Errorf("failure: %q", failure)
	}
}

func TestSupervisor_findsAServiceThatIgnoresItsPort(t *testing.T) {
	t.Parallel()
	port := porttest.Held(t)
	b := newBench(t, newFolder(t))
	f := run(1, 1, "elsewhere", strconv.Itoa(port))
	f.Port = port
	b.want(f)
	if got := b.untilReady(1, 1)[0].Addr; got != "127.0.0.1:"+strconv.Itoa(port) {
		t.Errorf("address %s, want port %d", got, port)
	}
	// A second one cannot listen there, and is told why.
	next := f
	next.Version = 2
	b.want(f, next)
	seen := b.until("a failure", func(s Seen) bool { return s.fleet(2).Failure != "" })
	if got := seen.fleet(2).Failure; !strings.Contains(got, "is used by orders-v1-a: a service that ignores $PORT can run once") {
		t.Errorf("failure: %q", got)
	}
}

func TestSupervisor_takesAnotherPortWhenOneIsTaken(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	// A program that takes the port between its choice and the bind: the port is
	// stored before the launcher starts, and the app waits.
	b.want(run(1, 1, "start-when-told"))
	seen := b.until("a port", func(s Seen) bool { return s.instance("orders-v1-a").PID != 0 })
	ln, err := net.Listen("tcp", seen.instance("orders-v1-a").Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := os.WriteFile(filepath.Join(b.layout.state(orders), "start"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got := b.untilReady(1, 1)[0].Addr
	if got == ln.Addr().String() {
		t.Errorf("ready at %s, which is not its own", got)
	}
	if f := b.until("ready", func(s Seen) bool { return s.fleet(1).Ready == 1 }).fleet(1); f.Failure != "" || f.Restarts != 0 {
		t.Errorf("a taken port counted against the version: %+v", f)
	}
}

func TestSupervisor_restartsWhatIsKilledAndCountsIt(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.want(run(1, 2, "serve"))
	b.untilReady(1, 2)
	for i := range 3 {
		seen, _ := b.Seen()
		old := seen.instance("orders-v1-b").PID
		kill9(t, old)
		b.until("restarted", func(s Seen) bool {
			in := s.instance("orders-v1-b")
			return in.State == world.InstanceReady && in.PID != old && in.Restarts == i+1
		})
	}
	seen := b.until("counted", func(s Seen) bool { return s.fleet(1).Restarts == 3 })
	if f := seen.fleet(1).Failure; f != "" {
		t.Errorf("a crash after it was ready is no failure to start: %q", f)
	}
	b.want()
	b.until("gone", func(s Seen) bool { return len(s.Fleets) == 0 })
	b.want(run(1, 1, "serve"))
	b.untilReady(1, 1)
	if seen, _ := b.Seen(); seen.fleet(1).Restarts != 3 {
		t.Errorf("restarts un-counted: %d", seen.fleet(1).Restarts)
	}
}

func TestR5_anUnhealthyInstanceIsNotDrawn(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.want(run(1, 1, "serve"))
	addr := b.untilReady(1, 1)[0].Addr
	get(t, addr, "/sick?is=true")
	seen := b.until("unready", func(s Seen) bool { return s.instance("orders-v1-a").State == world.InstanceUnready })
	if got := seen.instance("orders-v1-a").Why; !strings.Contains(got, "/healthz → status 503 ×3") {
		t.Errorf("why: %q", got)
	}
	b.untilReady(1, 0)
	get(t, addr, "/sick?is=false")
	b.untilReady(1, 1)
}

func TestR5_nothingIsSeenReadyBeforeTheGatewayKnows(t *testing.T) {
	telling, told := make(chan struct{}), make(chan struct{})
	var once sync.Once
	b := newBench(t, newFolder(t), func(c *Config) {
		c.OnReady = func(rollout.Key, rollout.Version, []Endpoint) {
			once.Do(func() { close(telling); <-told })
		}
	})
	b.want(run(1, 1, "serve"))
	<-telling
	seen, _ := b.Seen()
	close(told)
	if n := seen.fleet(1).Ready; n != 0 {
		t.Errorf("while the gateway is being told of the first instance, %d are seen ready", n)
	}
	b.until("it is ready", func(seen Seen) bool { return seen.fleet(1).Ready == 1 })
}

func TestR5_anInstanceThatNobodyAsksIsCheckedLessOften(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64 // of the clock, which a test can only turn
	var asked atomic.Bool
	looked := make(chan struct{}, 1000)
	began := time.Now()
	b := newBench(t, newFolder(t), func(c *Config) {
		c.Now = func() time.Time { return began.Add(time.Duration(ahead.Load())) }
		c.Asked = func(string) bool { looked <- struct{}{}; return asked.Load() }
	})
	f := run(1, 1, "serve")
	f.StartTimeout = 0
	b.want(f)
	addr := b.untilReady(1, 1)[0].Addr
	ahead.Store(int64(steady + time.Second))
	look := func() { // one may have read the clock before, the next checks, a third says that it has
		for range 3 {
			<-looked
		}
	}
	look()
	before := get(t, addr, "/checks")
	look()
	if now := get(t, addr, "/checks"); now != before {
		t.Errorf("checked though nobody asks: %s before, %s now", before, now)
	}
	ahead.Add(int64(idleProbeEvery))
	look()
	if now := get(t, addr, "/checks"); now == before {
		t.Errorf("not checked in %v", idleProbeEvery)
	}
	asked.Store(true)
	get(t, addr, "/sick?is=true")
	b.until("unready", func(s Seen) bool { return s.instance("orders-v1-a").State == world.InstanceUnready })
}

func TestR17_stoppingWaitsForOpenRequests(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.want(run(1, 1, "serve"))
	addr := b.untilReady(1, 1)[0].Addr
	b.setOpen(addr, 1)
	b.want()
	b.until("draining", func(s Seen) bool { return s.instance("orders-v1-a").State == world.InstanceDraining })
	b.untilReady(1, 0)
	if got := get(t, addr, "/pid"); got == "" {
		t.Error("it does not answer while a request is open")
	}
	b.setOpen(addr, 0)
	b.until("gone", func(s Seen) bool { return len(s.Instances) == 0 })
	if entries, _ := filepath.Glob(filepath.Join(b.layout.workload(orders), "orders*")); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestR17_drainEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	f := run(1, 1, "serve")
	f.Drain = 300 * time.Millisecond
	b.want(f)
	b.setOpen(b.untilReady(1, 1)[0].Addr, 1) // for ever
	b.want()
	b.until("gone", func(s Seen) bool { return len(s.Instances) == 0 })
}

func TestSupervisor_killsWhatIgnoresSIGTERM(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	f := run(1, 1, "ignore-term")
	f.Drain = 0
	b.want(f)
	b.untilReady(1, 1)
	seen, _ := b.Seen()
	b.want()
	b.until("gone", func(s Seen) bool { return len(s.Instances) == 0 })
	if alive(seen.instance("orders-v1-a").PID) {
		t.Error("it still runs")
	}
}

func TestSupervisor_leavesNoChildrenBehind(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"stop", "crash"} {
		b := newBench(t, newFolder(t))
		b.want(run(1, 1, "fork-child"))
		addr := b.untilReady(1, 1)[0].Addr
		var child int
		b.until("a child in a session of its own", func(Seen) bool {
			text, _ := os.ReadFile(filepath.Join(b.layout.state(orders), "child"))
			child, _ = strconv.Atoi(strings.TrimSpace(string(text)))
			return child != 0
		})
		if how == "stop" {
			b.want()
		} else {
			_, _ = (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
			seen, _ := b.Seen()
			kill9(t, seen.instance("orders-v1-a").PID)
		}
		b.until("the child is gone after "+how, func(Seen) bool { return !alive(child) })
	}
}

func TestSupervisor_aWorkerIsReadyWhenItLives(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	f := run(1, 1, "worker")
	f.Worker, f.Health = true, ""
	b.want(f)
	b.untilReady(1, 1)
	crash := run(2, 1, "crash")
	crash.Worker, crash.Health = true, ""
	b.want(f, crash)
	b.until("a failure", func(s Seen) bool { return s.fleet(2).Failure != "" })
}

func TestStop_endsEverything(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.want(run(1, 2, "serve"), run(2, 1, "ignore-term"))
	b.untilReady(1, 2)
	b.untilReady(2, 1)
	seen, _ := b.Seen()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := b.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Stop: %v, want the end of its time", err)
	}
	for id, pid := range seen.pids() {
		if alive(pid) {
			t.Errorf("%s still runs", id)
		}
	}
	if err := b.Apply(world.Wanted{Stamp: world.Stamp{Token: 9}}); !errors.Is(err, ErrStopping) {
		t.Errorf("Apply after Stop: %v", err)
	}
}

func TestConfinement_hidesTheDataFolder(t *testing.T) {
	t.Parallel()
	if len(Confinement()) > 0 {
		t.Skip(Confinement()[0])
	}
	dir := newFolder(t)
	key := filepath.Join(dir, "keys")
	if err := os.WriteFile(key, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, dir)
	b.want(run(1, 2, "serve"))
	ready := b.untilReady(1, 2)
	addr := ready[0].Addr
	own := filepath.Join(dir, "artifacts", artifact, "app")
	for path, may := range map[string]bool{
		key: false, own: true, "/etc/passwd": true,
		filepath.Join(dir, "node", "workloads", "cofe", "production", "orders", "orders-v1-b.run"): false,
		"/proc/" + get(t, ready[1].Addr, "/pid") + "/environ":                                      false, // another's secrets
	} {
		if got := get(t, addr, "/read?path="+path); (got == "<nil>") != may {
			t.Errorf("read %s: %s, want allowed: %t", path, got, may)
		}
	}
	for path, may := range map[string]bool{key: false, own: false, "$TMPDIR/x": true, "$TITRATE_STATE/x": true, "$HOME/x": true, "/dev/stdout": true} {
		if got := get(t, addr, "/write?path="+path); (got == "<nil>") != may {
			t.Errorf("write %s: %s, want allowed: %t", path, got, may)
		}
	}
	if got := get(t, addr, "/kill?pid="+strconv.Itoa(os.Getpid())); got == "<nil>" {
		t.Error("a workload can signal the supervisor")
	}
}

func TestConfinement_nothingOfAWorkloadRunsBeforeIt(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	seen := filepath.Join(dir, "launcher.env")
	b := newBench(t, dir, func(c *Config) {
		c.Launcher = []string{"/bin/sh", "-c", "env >'" + seen + "'; exec '" + self + "' " + LaunchCommand + " 7</etc/passwd"}
	})
	f := run(1, 1, "serve")
	// LD_PRELOAD is the one that hurts; many another variable steers a program.
	f.Env = map[string]string{"LD_PRELOAD_": "./evil.so", "LARGE": strings.Repeat("x", 100<<10)}
	b.want(f)
	addr := b.untilReady(1, 1)[0].Addr
	if env := get(t, addr, "/env"); !strings.Contains(env, `"LD_PRELOAD_=./evil.so"`) {
		t.Errorf("the workload has another environment: %.300s", env)
	}
	env, err := os.ReadFile(seen)
	if err != nil || !strings.Contains(string(env), tokenVar) || strings.Contains(string(env), "LD_PRELOAD_") {
		t.Errorf("the launcher, which is not confined yet, was started with the workload's environment: %.300s, %v", env, err)
	}
	if got := get(t, addr, "/read?path=/proc/self/fd/7"); got == "<nil>" {
		t.Error("the workload inherits what the launcher's caller left open")
	}
}

func TestSamples_tellWhatAVersionUses(t *testing.T) {
	t.Parallel()
	samples := make(chan []Sample, 100)
	b := newBench(t, newFolder(t), func(c *Config) { c.OnSample = func(s []Sample) { samples <- s } })
	b.want(run(1, 1, "serve"))
	b.untilReady(1, 1)
	for s := range samples {
		if len(s) == 1 && s[0].Version == 1 && s[0].Memory > 1<<20 {
			return
		}
	}
}

func TestUntilTurn_isASecondFromTurnToTurn(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 27, 7, 0, 0, 123456789, time.UTC)
	for turn := range turns {
		first := at.Add(untilTurn(at, turn))
		if d := first.Sub(at); d < probeEvery/2 || d >= 3*probeEvery/2 {
			t.Errorf("turn %d comes after %v", turn, d)
		}
		for _, late := range []time.Duration{0, time.Millisecond, probeEvery / 2} {
			if next := first.Add(late + untilTurn(first.Add(late), turn)); next.Sub(first) != probeEvery {
				t.Errorf("turn %d, looked at %v late, comes again after %v", turn, late, next.Sub(first))
			}
		}
	}
}
