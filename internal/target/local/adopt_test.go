package local

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"titrate/internal/durable"
	"titrate/internal/procfs"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

func TestR19_theNextSupervisorTakesBackWhatRuns(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	a := newBench(t, dir)
	a.want(run(1, 2, "serve"), run(2, 1, "crash"))
	ready := a.untilReady(1, 2)
	before := a.until("a failure", func(s Seen) bool { return s.fleet(2).Failure != "" })
	a.stop()
	if got := get(t, ready[0].Addr, "/pid"); got != strconv.Itoa(before.instance("orders-v1-a").PID) {
		t.Fatalf("process %s answers when nobody supervises", got)
	}

	b := newBench(t, dir)
	if got := b.untilReady(1, 2); got[0] != ready[0] || got[1] != ready[1] {
		t.Errorf("taken back: %v, want %v", got, ready)
	}
	after := b.until("the failure is remembered", func(s Seen) bool { return s.fleet(2).Failure == before.fleet(2).Failure })
	for _, id := range []string{"orders-v1-a", "orders-v1-b"} {
		if after.instance(id).PID != before.instance(id).PID || after.instance(id).Restarts != 0 {
			t.Errorf("%s: %+v, then %+v", id, before.instance(id), after.instance(id))
		}
	}
	// Nothing said is not nothing wanted.
	if err := b.Apply(world.Wanted{}); err != nil {
		t.Fatal(err)
	}
	// It is watched as before, and what it writes is read.
	get(t, ready[0].Addr, "/print?text=hello")
	b.until("its output", func(Seen) bool { return len(b.logs(world.LogQuery{Contains: "hello"})) == 1 })
	b.want(run(1, 2, "serve"))
	kill9(t, after.instance("orders-v1-b").PID)
	b.until("restarted", func(s Seen) bool { return s.fleet(1).Restarts == 1 && s.fleet(1).Ready == 2 })
}

func TestR19_aCrashBetweenSpawnAndRecordLosesNothing(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	a := newBench(t, dir)
	a.want(run(1, 1, "serve"))
	ready := a.untilReady(1, 1)
	seen, _ := a.Seen()
	pid := seen.instance("orders-v1-a").PID
	a.stop()
	// The record as it was before the spawn.
	path := a.layout.instance(orders, "orders-v1-a")
	var rec instanceRecord
	if _, err := load(path, &rec); err != nil {
		t.Fatal(err)
	}
	rec.PID, rec.Start, rec.State = 0, 0, world.InstanceStarting
	if err := store(path, rec); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, dir)
	if got := b.untilReady(1, 1); got[0] != ready[0] {
		t.Errorf("taken back: %v, want %v", got, ready)
	}
	if seen, _ := b.Seen(); seen.instance("orders-v1-a").PID != pid {
		t.Errorf("process %d, want %d", seen.instance("orders-v1-a").PID, pid)
	}
}

func TestR19_drainingGoesOn(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	a := newBench(t, dir)
	a.want(run(1, 1, "serve"))
	a.setOpen(a.untilReady(1, 1)[0].Addr, 1)
	a.want()
	seen := a.until("draining", func(s Seen) bool { return s.instance("orders-v1-a").State == world.InstanceDraining })
	a.until("stored", func(Seen) bool {
		var rec instanceRecord
		_, err := load(a.layout.instance(orders, "orders-v1-a"), &rec)
		return err == nil && rec.State == world.InstanceDraining
	})
	a.stop()
	b := newBench(t, dir)
	b.until("gone", func(s Seen) bool { return len(s.Instances) == 0 && !alive(seen.instance("orders-v1-a").PID) })
	if got := b.endpoints(1); len(got) != 0 {
		t.Errorf("drawn again: %v", got)
	}
}

func TestR19_aDamagedRecordIsReplaced(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	a := newBench(t, dir)
	a.want(run(1, 1, "serve"))
	a.untilReady(1, 1)
	seen, _ := a.Seen()
	a.stop()
	path := a.layout.instance(orders, "orders-v1-a")
	if err := os.WriteFile(path, []byte(`{"id":"orders-v1`), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, dir)
	b.want(run(1, 1, "serve"))
	b.untilReady(1, 1)
	if old := seen.instance("orders-v1-a").PID; alive(old) {
		t.Errorf("process %d of the damaged record still runs", old)
	}
}

func TestR19_anotherProcessWithTheSameNumberIsNotTakenBack(t *testing.T) {
	t.Parallel()
	start, err := procfs.StartTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openProcess(os.Getpid(), start+1, ""); err == nil {
		t.Error("a process with another start time was taken back")
	}
}

// install is `titrate up` with nothing but a node, in processes that can be killed.
type install struct {
	t        *testing.T
	dir      string
	up       *exec.Cmd
	revision uint64
}

func newInstall(t *testing.T) *install {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	in := &install{t: t, dir: newFolder(t)}
	in.up = exec.Command(self, "__up", in.dir)
	out, err := os.Create(filepath.Join(in.dir, "up.out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in.up.Stdout, in.up.Stderr = out, out
	if err := in.up.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.want(world.Wanted{})
		in.until("nothing runs", func(s Seen) bool { return len(s.Instances) == 0 })
		_ = in.up.Process.Signal(syscall.SIGTERM)
		_ = in.up.Wait()
		if t.Failed() {
			b, _ := os.ReadFile(filepath.Join(in.dir, "up.out"))
			t.Logf("%s", b)
		}
	})
	return in
}

func (in *install) want(w world.Wanted) {
	in.t.Helper()
	in.revision++
	w.Stamp = world.Stamp{Token: 1, Revision: in.revision}
	b, err := json.Marshal(w)
	if err == nil {
		err = durable.WriteFile(filepath.Join(in.dir, "wanted.json"), b)
	}
	if err != nil {
		in.t.Fatal(err)
	}
}

func (in *install) until(what string, is func(Seen) bool) Seen {
	in.t.Helper()
	var s Seen
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		b, err := os.ReadFile(filepath.Join(in.dir, "seen.json"))
		if s = (Seen{}); err == nil && json.Unmarshal(b, &s) == nil && is(s) {
			return s
		}
	}
	in.t.Fatalf("never: %s\nseen: %+v", what, s)
	return s
}

// killNode kills the node and returns when another one runs. Between the two,
// the caller's f is called.
func (in *install) killNode(f func()) {
	in.t.Helper()
	read := func() int {
		b, _ := os.ReadFile(filepath.Join(in.dir, "node.pid"))
		pid, _ := strconv.Atoi(string(b))
		return pid
	}
	old := read()
	os.Remove(filepath.Join(in.dir, "seen.json"))
	kill9(in.t, old)
	f()
	for deadline := time.Now().Add(time.Minute); read() == old || read() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			in.t.Fatal("no other node came")
		}
	}
	os.Remove(filepath.Join(in.dir, "seen.json")) // the old one's
}

func TestR19_killingTheNodeLosesNoWorkload(t *testing.T) {
	t.Parallel()
	in := newInstall(t)
	in.want(world.Wanted{Workloads: []world.Workload{{Key: orders, Fleets: []world.Fleet{run(1, 3, "serve")}}}})
	before := in.until("ready", func(s Seen) bool { return s.fleet(1).Ready == 3 })
	in.killNode(func() {
		for _, i := range before.Instances {
			if got := get(t, i.Addr, "/pid"); got != strconv.Itoa(i.PID) {
				t.Errorf("%s does not answer without a node: %s", i.ID, got)
			}
		}
		get(t, before.Instances[0].Addr, "/print?text=nobody+listens")
	})
	after := in.until("taken back", func(s Seen) bool { return s.fleet(1).Ready == 3 })
	if a, b := before.pids(), after.pids(); !maps.Equal(a, b) || after.fleet(1).Restarts != 0 {
		t.Errorf("processes %v, then %v (%d restarts)", a, b, after.fleet(1).Restarts)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		b, _ := os.ReadFile(filepath.Join(logDir(filepath.Join(in.dir, "logs"), orders), currentLog))
		if strings.Contains(string(b), "nobody listens") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("what was written without a node is lost:\n%s", b)
		}
	}
}

func TestR24_aHookRunsOnceWhateverIsKilled(t *testing.T) {
	t.Parallel()
	in := newInstall(t)
	hook := func(key, command string) world.Hook {
		return world.Hook{Key: key, Workload: orders, Kind: rollout.HookPreTraffic, Command: command, Timeout: 10 * time.Minute, Fleet: run(1, 0, "serve"), Rollout: 7}
	}
	// One ends while a node runs that did not start it; one while none does.
	in.want(world.Wanted{Hooks: []world.Hook{
		hook("stays", `echo ran >> $TITRATE_STATE/stays; echo one; while [ ! -e $TITRATE_STATE/go ]; do sleep 0.01; done; echo two; exit 5`),
		hook("ends", `echo ran >> $TITRATE_STATE/ends; while [ ! -e $TITRATE_STATE/now ]; do sleep 0.01; done; exit 7`),
	}})
	state := filepath.Join(in.dir, "node", "workloads", "cofe", "production", "orders", "state")
	touch := func(name string) {
		if err := os.WriteFile(filepath.Join(state, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lines := func(name string) int {
		b, _ := os.ReadFile(filepath.Join(state, name))
		return strings.Count(string(b), "\n")
	}
	// Until then a node that is killed leaves a hook of which nobody can tell how it
	// ended: it would be lost, rightly.
	stored := func() (n int) {
		paths, _ := filepath.Glob(filepath.Join(layout{filepath.Join(in.dir, "node")}.hooks(), "*.json"))
		for _, path := range paths {
			var rec hookRecord
			if _, err := load(path, &rec); err == nil && rec.PID != 0 {
				n++
			}
		}
		return n
	}
	in.until("both run", func(s Seen) bool {
		return s.Hooks["stays"].Running && s.Hooks["ends"].Running && lines("stays") == 1 && lines("ends") == 1 && stored() == 2
	})
	in.killNode(func() { touch("now") })
	in.until("the keeper's record counts", func(s Seen) bool { h := s.Hooks["ends"]; return !h.Running && h.Exit == 7 && !h.Lost })
	// What a hook writes that ends before the node reads it again is lost with its pipe.
	in.until("taken back", func(Seen) bool {
		b, _ := os.ReadFile(filepath.Join(in.dir, "up.out"))
		return strings.Contains(string(b), "a hook was taken back")
	})
	touch("go")
	seen := in.until("it ends", func(s Seen) bool { h := s.Hooks["stays"]; return !h.Running && h.Exit == 5 })
	if got := seen.Hooks["stays"].Log; !strings.HasSuffix(got, "two") {
		t.Errorf("log: %q", got)
	}
	in.killNode(func() {})
	in.until("results stay", func(s Seen) bool { return s.Hooks["stays"].Exit == 5 && s.Hooks["ends"].Exit == 7 })
	if lines("stays") != 1 || lines("ends") != 1 {
		t.Errorf("ran %d and %d times", lines("stays"), lines("ends"))
	}
}

func TestSupervisor_learnsFromTheKeeperHowAnOrphanEnded(t *testing.T) {
	t.Parallel()
	in := newInstall(t)
	in.want(world.Wanted{Workloads: []world.Workload{{Key: orders, Fleets: []world.Fleet{run(1, 1, "serve")}}}})
	before := in.until("ready", func(s Seen) bool { return s.fleet(1).Ready == 1 })
	in.killNode(func() {})
	in.until("taken back", func(s Seen) bool { return s.fleet(1).Ready == 1 })
	_ = tryGet("http://" + before.Instances[0].Addr + "/exit") // it ends before it answers
	in.until("why it ended", func(s Seen) bool {
		return strings.Contains(s.instance("orders-v1-a").Why, "exited with status 4") || s.fleet(1).Restarts == 1
	})
	in.until("restarted", func(s Seen) bool { return s.fleet(1).Ready == 1 && s.fleet(1).Restarts == 1 })
	b, _ := os.ReadFile(filepath.Join(in.dir, "up.out"))
	if !strings.Contains(string(b), "exited with status 4") {
		t.Errorf("the exit status was not learned")
	}
}

// A node that served before it had taken back every instance refused requests of
// the services that were not yet.
func TestR19_whatRunsIsPublishedBeforeItIsTakenBack(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	a := newBench(t, dir)
	a.want(run(1, 1, "serve"), run(2, 2, "serve"), run(3, 1, "serve"))
	for v, n := range map[rollout.Version]int{1: 1, 2: 2, 3: 1} {
		a.untilReady(v, n)
	}
	a.stop()
	b := newBench(t, dir)
	<-b.TakenBack()
	b.mu.Lock()
	defer b.mu.Unlock()
	for v, n := range map[rollout.Version]int{1: 1, 2: 2, 3: 1} {
		if len(b.ready[v]) != n {
			t.Errorf("taken back, but of v%d there may be drawn %v", v, b.ready[v])
		}
	}
}

// A data folder whose path reads as a pattern.
func TestAdopt_inAFolderWithBrackets(t *testing.T) {
	t.Parallel()
	base := newFolder(t)
	dir := filepath.Join(t.TempDir(), "data[1]*")
	if err := os.Rename(base, dir); err != nil {
		t.Fatal(err)
	}
	want := world.Wanted{Workloads: []world.Workload{{Key: orders, Fleets: []world.Fleet{run(1, 1, "serve")}}}}
	b := newBench(t, dir)
	b.apply(want)
	pid := func(b *bench) int {
		b.untilReady(1, 1)
		seen, _ := b.Seen()
		return seen.Instances[0].PID
	}
	before := pid(b)
	b.stop()
	again := newBench(t, dir)
	again.revision = b.revision + 5
	again.apply(want)
	if after := pid(again); after != before {
		t.Errorf("process %d was not taken back: %d runs beside it", before, after)
	}
}

// A copy of the data folder, brought up beside the original to look into it.
func TestAdopt_aCopyTakesNothingOfTheOriginal(t *testing.T) {
	t.Parallel()
	dir, other := newFolder(t), filepath.Join(t.TempDir(), "copy")
	want := world.Wanted{Workloads: []world.Workload{{Key: orders, Fleets: []world.Fleet{run(1, 1, "serve")}}}}
	b := newBench(t, dir)
	b.apply(want)
	pid := func(b *bench) int {
		b.untilReady(1, 1)
		seen, _ := b.Seen()
		return seen.Instances[0].PID
	}
	before := pid(b)
	copyFolder(t, filepath.Join(dir, "node"), other)
	second := newBench(t, dir, func(c *Config) { c.Dir = other })
	second.revision = b.revision + 5
	second.apply(want)
	if taken := pid(second); taken == before {
		t.Errorf("the copy has taken process %d of the original", before)
	}
	second.stop()
	if now := pid(b); now != before {
		t.Errorf("the original has %d instead of %d", now, before)
	}
}

// copyFolder copies what lives: a record that is replaced while cp reads
// makes cp fail, and it is asked again, as somebody at the terminal would.
func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		out, err := exec.CommandContext(t.Context(), "cp", "-aT", from, to).CombinedOutput()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%v: %s", err, out)
		}
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
	}
}
