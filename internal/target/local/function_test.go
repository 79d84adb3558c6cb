package local

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"titrate/internal/cgroup"
	"titrate/internal/invocation"
	"titrate/internal/procfs"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

func TestFunction_answersAndIsSeen(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	f := fnFleet(3, "function")
	f.Env = map[string]string{"COLOUR": "green", "TZ": "Europe/Berlin", "AWS_LAMBDA_RUNTIME_API": "evil"}
	f.Secrets = map[string]string{"PASSWORD": "sesame"}
	b.wantFn(nil, f)
	c := b.callee(3)
	got := b.tell(c)
	if got.ID != "8476a536-e9f4" || !strings.HasSuffix(got.ARN, ":function:orders:live") || got.Version != "3" {
		t.Errorf("told %+v", got)
	}
	for _, want := range []string{
		"TITRATE_INSTANCE=orders-v3-a", "TITRATE_VERSION=v3", "COLOUR=green", "PASSWORD=sesame", "TZ=Europe/Berlin", "AWS_REGION=local",
		"AWS_LAMBDA_FUNCTION_NAME=orders", "AWS_LAMBDA_FUNCTION_VERSION=3", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128", "GOMAXPROCS=1",
		"LAMBDA_TASK_ROOT=" + b.artifact(artifact), "AWS_EXECUTION_ENV=AWS_Lambda_provided.al2023",
	} {
		if !slices.Contains(got.Env, want) {
			t.Errorf("no %s in %q", want, got.Env)
		}
	}
	if slices.Contains(got.Env, "AWS_LAMBDA_RUNTIME_API=evil") || slices.ContainsFunc(got.Env, func(kv string) bool { return strings.HasPrefix(kv, "PORT=") }) {
		t.Errorf("environment %q", got.Env)
	}
	seen := b.until("it is ready and counted", func(s Seen) bool { return s.fleet(3).Ready == 1 && s.fleet(3).Invoked == 1 })
	if in := seen.instance("orders-v3-a"); in.State != world.InstanceReady || in.PID != got.PID {
		t.Errorf("seen %+v", in)
	}
	if seen.fleet(3).Concurrency != 1 || seen.fleet(3).Failure != "" {
		t.Errorf("seen %+v", seen.fleet(3))
	}
	if again := b.tell(c); again.PID != got.PID {
		t.Error("a warm instance was not used again")
	}
}

func TestR5_aFunctionIsPublishedWhenCountHaveStarted(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	f := fnFleet(1, "function-when-told")
	f.Count = 3
	b.wantFn(nil, f)
	b.until("three start", func(s Seen) bool { return len(s.Instances) == 3 })
	if len(b.endpoints(1)) != 0 {
		t.Error("it is published before one has started")
	}
	if seen, _ := b.Seen(); seen.fleet(1).Ready != 0 {
		t.Errorf("ready %d before one has started", seen.fleet(1).Ready)
	}
	b.state("start")
	b.callee(1)
	b.until("three are ready", func(s Seen) bool { return s.fleet(1).Ready == 3 })
	f.Count = 4
	b.wantFn(nil, f)
	b.until("four are ready", func(s Seen) bool { return s.fleet(1).Ready == 4 && len(s.Instances) == 4 })
}

func TestR11_aFunctionThatFailsItsProbeIsNotPublished(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	f := fnFleet(2, "function")
	f.Function.Probe = []byte(`{"do":"error"}`)
	b.wantFn(nil, f)
	seen := b.until("a failure", func(s Seen) bool { return s.fleet(2).Failure != "" })
	for _, want := range []string{"failed its probe", "no beans", "the beans are gone"} {
		if !strings.Contains(seen.fleet(2).Failure, want) {
			t.Errorf("no %q in %q", want, seen.fleet(2).Failure)
		}
	}
	if len(b.endpoints(2)) != 0 || seen.fleet(2).Ready != 0 || seen.fleet(2).Invoked != 0 {
		t.Errorf("published %v, seen %+v", b.endpoints(2), seen.fleet(2))
	}
	// Another attempt tries it again (R7).
	f.Function = &rollout.Function{Timeout: time.Minute, Probe: []byte(`{"do":"tell"}`)}
	b.apply(world.Wanted{Workloads: []world.Workload{{Key: orders, Fleets: []world.Fleet{f}, Rollout: 1, Attempt: 2}}})
	b.callee(2)
	if seen := b.until("it is ready", func(s Seen) bool { return s.fleet(2).Ready == 1 }); seen.fleet(2).Invoked != 0 {
		t.Error("a probe counts as an invocation")
	}
}

func TestR14_aFunctionThatDoesNotStartSaysWhyAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*world.Fleet)
		want   []string
	}{
		"crash":               {func(f *world.Fleet) { f.Command = []string{"app", "function-crash"} }, []string{"exit status 3", "cannot find the beans", "password is [secret]"}},
		"never asks":          {func(f *world.Fleet) { f.Command, f.StartTimeout = []string{"app", "function-never"}, time.Second }, []string{"never asked for work. Look at what its handler waits for", "speaks the Runtime API", "startTimeout gives it longer", "waits for nothing"}},
		"missing bootstrap":   {func(f *world.Fleet) { f.Command = nil }, []string{"bootstrap is missing"}},
		"missing program":     {func(f *world.Fleet) { f.Command = []string{"./nowhere"} }, []string{"the artifact has no file ./nowhere"}},
		"missing artifact":    {func(f *world.Fleet) { f.Artifact = strings.Repeat("cd", 32) }, []string{"the artifact cdcdcdcdcdcd… is missing"}},
		"missing interpreter": {func(f *world.Fleet) { f.Function.Runtime = "nodejs9999" }, []string{"nodejs9999"}},
		"unknown runtime":     {func(f *world.Fleet) { f.Function.Runtime = "ruby" }, []string{`runtime "ruby" is not known`}},
		"an image":            {func(f *world.Fleet) { f.Image = &world.Image{Engine: true} }, []string{"a function in an image is not run yet"}},
		"exclusive volume":    {func(f *world.Fleet) { f.Volumes = rollout.Volumes{"data": {}} }, []string{"a volume that is not shared"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, newFolder(t))
			f := fnFleet(1, "function")
			f.StartTimeout = time.Hour
			f.Secrets = map[string]string{"PASSWORD": "open sesame"}
			c.change(&f)
			b.wantFn(nil, f)
			seen := b.until("a failure", func(s Seen) bool { return s.fleet(1).Failure != "" })
			for _, want := range c.want {
				if !strings.Contains(seen.fleet(1).Failure, want) {
					t.Errorf("no %q in %q", want, seen.fleet(1).Failure)
				}
			}
			if len(b.endpoints(1)) != 0 {
				t.Error("it is published")
			}
			b.until("nothing is left", func(s Seen) bool { return len(s.Instances) == 0 })
		})
	}
}

func TestFunction_failuresAreToldApart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		event   string
		timeout time.Duration
		failure invocation.Failure
		kind    string
		log     string
		dies    bool
	}{
		"unhandled":  {event: `{"do":"error"}`, failure: invocation.Unhandled, kind: "errorString", log: "the beans are gone"},
		"exit":       {event: `{"do":"exit"}`, failure: invocation.Exit, kind: "Runtime.ExitError", log: "gives up", dies: true},
		"signal":     {event: `{"do":"kill"}`, failure: invocation.Exit, kind: "Runtime.ExitError", dies: true},
		"timeout":    {event: `{"do":"hang"}`, timeout: 500 * time.Millisecond, failure: invocation.Timeout, kind: "Sandbox.Timeout", log: "thinks about it", dies: true},
		"too large":  {event: `{"do":"large","size":7000000}`, failure: invocation.TooLarge, kind: "Function.ResponseSizeTooLarge", dies: true}, // AWS's library gives up when it is refused
		"not memory": {event: `{"do":"exit"}`, failure: invocation.Exit, kind: "Runtime.ExitError", dies: true},
		"memory":     {event: `{"do":"grow","size":400}`, failure: invocation.Memory, kind: "Runtime.OutOfMemory", dies: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, newFolder(t))
			f := fnFleet(1, "function")
			f.Limits.Memory = 200 << 20
			if c.timeout > 0 {
				f.Function.Timeout = c.timeout
			}
			b.wantFn(nil, f)
			callee := b.callee(1)
			first := b.until("it is seen", func(s Seen) bool { return s.fleet(1).Ready == 1 }).Instances[0].PID
			payload, called := b.try(callee, c.event)
			if called.Failure != c.failure || called.Type != c.kind || called.Message == "" || called.Cold {
				t.Fatalf("called %+v", called)
			}
			checkPayload(t, payload, c.kind)
			if !strings.Contains(called.Tail, c.log) || !strings.Contains(called.Tail, "START RequestId: 8476a536-e9f4 Version: 1\n") || !strings.Contains(called.Tail, "REPORT RequestId: 8476a536-e9f4\t") {
				t.Errorf("tail %q", called.Tail)
			}
			b.until("the log tells of it", func(Seen) bool {
				return slices.ContainsFunc(b.logs(world.LogQuery{Workload: orders.Workload, Last: 50}), func(l world.LogLine) bool {
					return l.Stream == "titrate" && strings.Contains(l.Text, "Error: "+c.kind)
				})
			})
			if c.timeout > 0 { // a slow machine starts slowly
				f.Function = &rollout.Function{Timeout: time.Minute}
				b.wantFn(nil, f)
			}
			next := b.tell(callee)
			if (next.PID != first) != c.dies {
				t.Errorf("process %d, then %d", first, next.PID)
			}
			if c.dies {
				b.until("the process is gone", func(Seen) bool { return !alive(first) })
			}
		})
	}
}

func TestFunction_memoryIsKeptWhereTheMachineKeepsNone(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t), func(c *Config) { c.Groups = cgroup.None("the test has none") })
	f := fnFleet(1, "function")
	f.Limits.Memory = 200 << 20
	b.wantFn(nil, f)
	c := b.callee(1)
	b.state("grown")
	b.ask(c, `{"do":"grow","size":10}`)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, called := c.Invoke(ctx, []byte(`{"do":"grow","size":10}`), invocation.Call{ID: "1"}); called.Failure != "" {
		t.Errorf("%+v", called)
	}
	// It holds what it has taken until it is killed.
	if _, called := c.Invoke(ctx, []byte(`{"do":"grow-wait","size":400}`), invocation.Call{ID: "2"}); called.Failure != invocation.Memory || called.Type != "Runtime.OutOfMemory" {
		t.Errorf("%+v", called)
	}
}

func TestFunction_anInitThatFailsLaterIsTold(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.wantFn(nil, fnFleet(1, "function-once"))
	c := b.callee(1)
	if _, called := b.try(c, `{"do":"exit"}`); called.Failure != invocation.Exit {
		t.Fatalf("%+v", called)
	}
	payload, called := b.try(c, `{"do":"tell"}`)
	if called.Failure != invocation.Init || !called.Cold || !strings.Contains(called.Tail, "not again") {
		t.Errorf("%+v", called)
	}
	checkPayload(t, payload, "Runtime.ExitError")
	if seen := b.until("both are counted", func(s Seen) bool { return s.fleet(1).Invoked == 2 }); seen.fleet(1).Ready != 1 {
		t.Errorf("seen %+v", seen.fleet(1))
	}
}

func TestFunction_throttlesAtItsMost(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	f := fnFleet(1, "function")
	f.Scale.Max = 2
	b.wantFn(nil, f)
	c := b.callee(1)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { b.ask(c, `{"do":"wait","path":"go-on"}`) })
	}
	b.until("both are at work", func(s Seen) bool {
		_, busy, _ := b.function(1).pool.Count()
		return busy == 2
	})
	payload, called := b.try(c, `{}`)
	if called.Failure != invocation.Throttled {
		t.Errorf("%+v", called)
	}
	checkPayload(t, payload, "TooManyRequestsException")
	b.state("go-on")
	wg.Wait()
	if seen := b.until("they are counted", func(s Seen) bool { return s.fleet(1).Invoked >= 2 }); seen.fleet(1).Invoked != 2 || seen.fleet(1).Concurrency != 2 {
		t.Errorf("seen %+v", seen.fleet(1))
	}
}

func TestR17_aFunctionThatIsNotWantedFinishesWhatItHas(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	f := fnFleet(1, "function")
	b.wantFn(nil, f)
	c := b.callee(1)
	done := make(chan invocation.Called)
	go func() {
		_, called := c.Invoke(context.Background(), []byte(`{"do":"wait","path":"go-on"}`), invocation.Call{ID: "1", Real: true})
		done <- called
	}()
	b.until("it is at work", func(s Seen) bool { return s.fleet(1).Concurrency == 1 })
	b.wantFn(nil)
	b.until("it takes no calls", func(Seen) bool { return len(b.endpoints(1)) == 0 })
	if _, called := b.try(c, `{}`); called.Failure != invocation.Stopped {
		t.Errorf("a version that is not wanted: %+v", called)
	}
	b.state("go-on")
	if called := <-done; called.Failure != "" {
		t.Errorf("what it had: %+v", called)
	}
	b.until("nothing is left", func(s Seen) bool { return len(s.Instances)+len(s.Fleets) == 0 })
	// Wanted again, it is there without being shown again, and warm.
	f.Function = &rollout.Function{Timeout: time.Minute, Probe: []byte(`{"do":"error"}`)}
	b.wantFn(nil, f)
	b.callee(1)
	b.until("it is warm", func(s Seen) bool { return len(s.Instances) == 1 && s.Instances[0].State == world.InstanceReady })
	if got := b.tell(b.callee(1)); got.PID == 0 {
		t.Error("no process")
	}
	b.until("what was counted is kept", func(s Seen) bool { return s.fleet(1).Invoked == 2 })
}

func TestR17_anIdleInstanceIsAskedToEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t), func(c *Config) { c.Grace = 10 * time.Second })
	b.wantFn(nil, fnFleet(1, "function-farewell"))
	b.callee(1)
	b.wantFn(nil)
	b.until("nothing is left", func(s Seen) bool { return len(s.Instances)+len(s.Fleets) == 0 })
	if _, err := os.Stat(filepath.Join(b.layout.state(orders), "farewell")); err != nil {
		t.Errorf("it was not asked to end: %v", err)
	}
}

func TestR17_whatOutlivesTheDrainIsCut(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	f := fnFleet(1, "function")
	f.Drain, f.Function.Timeout = 10*time.Millisecond, 700*time.Millisecond
	b.wantFn(nil, f)
	c := b.callee(1)
	done := make(chan invocation.Called)
	go func() {
		_, called := c.Invoke(context.Background(), []byte(`{"do":"hang"}`), invocation.Call{ID: "1"})
		done <- called
	}()
	b.until("it is at work", func(s Seen) bool { return s.fleet(1).Concurrency == 1 })
	b.wantFn(nil)
	if called := <-done; called.Failure != invocation.Timeout && called.Failure != invocation.Exit {
		t.Errorf("%+v", called)
	}
	b.until("nothing is left", func(s Seen) bool { return len(s.Instances)+len(s.Fleets) == 0 })
}

func TestFunction_aCallerWhoLeavesDoesNotEndIt(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.wantFn(nil, fnFleet(1, "function"))
	c := b.callee(1)
	pid := b.tell(c).PID
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan invocation.Called)
	go func() {
		_, called := c.Invoke(ctx, []byte(`{"do":"wait","path":"go-on"}`), invocation.Call{ID: "1", Real: true})
		done <- called
	}()
	b.until("it is at work", func(Seen) bool {
		_, busy, _ := b.function(1).pool.Count()
		return busy == 1
	})
	cancel()
	if called := <-done; called.Failure != invocation.Canceled {
		t.Errorf("%+v", called)
	}
	b.state("go-on")
	b.until("it has ended", func(s Seen) bool { return s.fleet(1).Invoked == 2 })
	if got := b.tell(c).PID; got != pid {
		t.Error("its process was ended")
	}
}

func TestFunction_anInstanceThatDiesIdleIsReplaced(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.wantFn(nil, fnFleet(1, "function"))
	c := b.callee(1)
	for range 3 {
		pid := b.tell(c).PID
		kill9(t, pid)
		b.until("it is seen", func(s Seen) bool { return !slices.Contains(slices.Collect(maps.Values(s.pids())), pid) })
		if got := b.tell(c); got.PID == pid {
			t.Error("a dead process answered")
		}
	}
}

func TestR19_afterARestartAFunctionIsThereAtOnce(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	b := newBench(t, dir)
	f := fnFleet(1, "function")
	f.Count = 2
	b.wantFn(nil, f)
	pid := b.tell(b.callee(1)).PID
	b.until("both are ready", func(s Seen) bool { return s.fleet(1).Ready == 2 })
	b.stop()
	if alive(pid) {
		t.Error("its process has outlived who gives it work")
	}
	f.Function.Probe = []byte(`{"do":"error"}`) // it is not asked again
	next := prepare(t, dir)
	next.revision = b.revision
	next.start()
	<-next.TakenBack()
	c := next.callee(1)
	if seen, _ := next.Seen(); len(seen.Instances) != 0 || seen.fleet(1).Ready != 2 || seen.fleet(1).Invoked != 1 {
		t.Errorf("before a world is applied: %+v", seen)
	}
	done := make(chan invocation.Called) // a call before that waits for it
	go func() {
		_, called := next.try(c, `{"do":"tell"}`)
		done <- called
	}()
	next.wantFn(nil, f)
	if called := <-done; called.Failure != "" || !called.Cold {
		t.Errorf("%+v", called)
	}
	if again := next.callee(1); again != c {
		t.Error("it was published anew")
	}
	if seen := next.until("it is counted", func(s Seen) bool { return s.fleet(1).Invoked == 2 }); len(seen.Instances) != 1 || seen.fleet(1).Failure != "" {
		t.Errorf("%+v", seen)
	}
}

func TestR19_whatAKilledSupervisorLeftOfFunctionsIsEnded(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	f := fnFleet(1, "function-never") // it does not even notice
	f.StartTimeout = time.Hour
	w := world.Wanted{Stamp: world.Stamp{Token: 1, Revision: 1}, Workloads: []world.Workload{{Key: orders, Fleets: []world.Fleet{f}}}}
	text, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "wanted.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "__node", "-", dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	for deadline := time.Now().Add(time.Minute); pid == 0 && time.Now().Before(deadline); <-time.After(5 * time.Millisecond) {
		var seen Seen
		if text, err := os.ReadFile(dir + "/seen.json"); err == nil && json.Unmarshal(text, &seen) == nil && len(seen.Instances) == 1 {
			pid = seen.Instances[0].PID
		}
	}
	if pid == 0 {
		t.Fatal("it was never started")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if !alive(pid) {
		t.Skip("it died with its supervisor")
	}
	b := newBench(t, dir)
	b.until("what was left is ended", func(Seen) bool { return !alive(pid) })
	b.until("nothing is kept of who left it", func(Seen) bool {
		b.Supervisor.mu.Lock()
		defer b.Supervisor.mu.Unlock()
		return len(b.brood.Earlier) == 0
	})
}

func TestFunction_theTailOfACallIsOfThatCall(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.wantFn(nil, fnFleet(1, "function"))
	c := b.callee(1)
	for range 2 {
		if _, called := b.try(c, `{"do":"error"}`); strings.Count(called.Tail, "the beans are gone") != 1 {
			t.Errorf("tail %q", called.Tail)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, called := c.Invoke(ctx, []byte(`{"do":"tell"}`), invocation.Call{ID: "3", Tail: true}); called.Failure != "" || strings.Contains(called.Tail, "the beans are gone") {
		t.Errorf("%+v", called)
	}
}

// TestR19_functionsAreCalledUntilNothingDrawsThem: a supervisor that hands over lets its
// functions go on for the gateway beside it, which still has requests.
func TestR19_functionsAreCalledUntilNothingDrawsThem(t *testing.T) {
	t.Parallel()
	drawn := make(chan struct{})
	b := newBench(t, newFolder(t), func(c *Config) { c.Drawn = drawn })
	b.wantFn(nil, fnFleet(3, "function"))
	c := b.callee(3)
	pid := b.tell(c).PID
	b.stop()
	if got := b.tell(c); got.PID != pid {
		t.Errorf("process %d answers, not %d", got.PID, pid)
	}
	close(drawn)
	b.calls.Wait()
	if alive(pid) {
		t.Error("its process lives on")
	}
}

// TestR19_theFunctionsOfASupervisorThatLivesAreLeftAlone until it has gone.
func TestR19_theFunctionsOfASupervisorThatLivesAreLeftAlone(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	owner, child := exec.CommandContext(t.Context(), "sleep", "60"), exec.CommandContext(t.Context(), "sleep", "60")
	const name = "fn-OF-ANOTHER-"
	child.Env = append(os.Environ(), tokenVar+"="+name+"1")
	for _, cmd := range []*exec.Cmd{owner, child} {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	gone := make(chan error, 1)
	go func() { gone <- child.Wait() }()
	b := prepare(t, dir)
	start, err := procfs.StartTime(owner.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := store(b.layout.brood(), brood{Name: name, Boot: b.boot, PID: owner.Process.Pid, Start: start}); err != nil {
		t.Fatal(err)
	}
	b.start()
	b.wantFn(nil, fnFleet(3, "function"))
	b.tell(b.callee(3))
	if !alive(child.Process.Pid) {
		t.Error("it was ended while somebody gives it work")
	}
	_ = owner.Process.Kill()
	_ = owner.Wait() // it was killed
	if err := <-gone; err == nil {
		t.Error("it ended by itself")
	}
}
