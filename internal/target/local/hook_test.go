package local

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

func (b *bench) hook(key, command string, timeout time.Duration) world.Hook {
	f := run(1, 0, "serve")
	f.Secrets = map[string]string{"PASSWORD": "open sesame"}
	return world.Hook{Key: key, Workload: orders, Kind: rollout.HookRelease, Command: command, Timeout: timeout, Fleet: f, Rollout: 1}
}

func TestR24_hooks(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.apply(world.Wanted{Hooks: []world.Hook{
		b.hook("good", `test -e app && echo "migrated with $PASSWORD in $TITRATE_VERSION"`, time.Minute),
		b.hook("bad", `echo no >&2; exit 9`, time.Minute),
		b.hook("slow", `echo $$ > $TITRATE_STATE/pid; sleep 100`, 200*time.Millisecond),
		b.hook("shot", `kill -9 $$`, time.Minute),
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
		"good": {Log: "migrated with [secret] in v1"}, "bad": {Exit: 9, Log: "no"}, "slow": {TimedOut: true}, "shot": {Exit: 137},
	} {
		if got := seen.Hooks[key]; got != want {
			t.Errorf("%s: %+v, want %+v", key, got, want)
		}
	}
	if got := b.logs(world.LogQuery{Workload: "orders", Contains: "migrated"}); len(got) != 1 || got[0].Stream != "hook" || got[0].Instance != "orders-v1-release" {
		t.Errorf("logs: %+v", got)
	}
}

func TestR24_aHookReachesTheCandidateThatIsReady(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	early := b.hook("early", `echo "preview: ${TITRATE_PREVIEW_URL-none}"`, time.Minute)
	w := world.Wanted{Hooks: []world.Hook{early}}
	b.apply(w)
	b.until("the early hook has ended", func(s Seen) bool { return !s.Hooks["early"].Running && s.Hooks["early"].Log != "" })
	w.Workloads = []world.Workload{{Key: orders, Fleets: []world.Fleet{run(1, 1, "serve")}}}
	b.apply(w)
	b.untilReady(1, 1)
	w.Hooks = append(w.Hooks, b.hook("late", `echo "preview: $TITRATE_PREVIEW_URL"`, time.Minute))
	b.apply(w)
	seen := b.until("the late hook has ended", func(s Seen) bool { return s.Hooks["late"].Log != "" && !s.Hooks["late"].Running })
	if got := seen.Hooks["early"].Log; got != "preview: none" {
		t.Errorf("before anything is ready: %q", got)
	}
	if got, want := seen.Hooks["late"].Log, "preview: http://"+b.endpoints(1)[0].Addr; got != want {
		t.Errorf("with a ready candidate: %q, want %q", got, want)
	}
}

func TestR24_aHookWithoutAnExitRecordIsLost(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	a := newBench(t, dir)
	hook := a.hook("once", `echo ran >> $TITRATE_STATE/ran; sleep 100`, time.Minute)
	a.apply(world.Wanted{Hooks: []world.Hook{hook}})
	a.until("it runs", func(s Seen) bool {
		m, _ := filepath.Glob(filepath.Join(a.layout.state(orders), "ran"))
		return s.Hooks["once"].Running && len(m) == 1
	})
	a.mu.Lock()
	pid := 0
	a.Supervisor.mu.Lock()
	for _, h := range a.hooks {
		pid = h.rec.PID
	}
	a.Supervisor.mu.Unlock()
	a.mu.Unlock()
	a.stop()
	kill9(t, pid)
	reapForTest(pid) // as a keeper would that was killed before it could write that down
	b := newBench(t, dir)
	b.apply(world.Wanted{Hooks: []world.Hook{hook}})
	seen := b.until("lost", func(s Seen) bool { return s.Hooks["once"].Lost })
	if seen.Hooks["once"].Running {
		t.Error("it runs again")
	}
}

func TestR24_aHookThatCannotStartFails(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	h := b.hook("gone", "true", time.Minute)
	h.Fleet.Artifact = strings.Repeat("cd", 32)
	b.apply(world.Wanted{Hooks: []world.Hook{h}})
	seen := b.until("ended", func(s Seen) bool { r, ok := s.Hooks["gone"]; return ok && !r.Running })
	if r := seen.Hooks["gone"]; r.Exit != 126 || !strings.Contains(r.Log, "is missing") {
		t.Errorf("result: %+v", r)
	}
}

func TestR24_aHookThatMayHaveRunIsNotRunAgain(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	b := newBench(t, dir)
	hook := b.hook("once", `echo ran >> $TITRATE_STATE/ran`, time.Minute)
	b.stop()
	// A supervisor that was killed right after it had stored what it was about to do.
	h := b.newHook(hookRecord{Key: "once", Token: "of nobody", Workload: orders, Version: 1, Kind: hook.Kind, Command: hook.Command, Boot: b.boot, Started: time.Now()})
	if err := store(h.file(), h.rec); err != nil {
		t.Fatal(err)
	}
	c := newBench(t, dir)
	c.apply(world.Wanted{Hooks: []world.Hook{hook}})
	c.until("lost", func(s Seen) bool { return s.Hooks["once"].Lost && !s.Hooks["once"].Running })
	c.stop()
	d := newBench(t, dir)
	d.apply(world.Wanted{Hooks: []world.Hook{hook}})
	d.until("still lost", func(s Seen) bool { return s.Hooks["once"].Lost })
	if m, _ := filepath.Glob(filepath.Join(d.layout.state(orders), "ran")); len(m) != 0 {
		t.Error("it ran")
	}
}

func TestStop_endsHooksAndSaysThatTheyMayHaveRun(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	a := newBench(t, dir)
	hook := a.hook("long", `echo ran; sleep 100`, time.Minute)
	a.apply(world.Wanted{Hooks: []world.Hook{hook}})
	a.until("it runs", func(Seen) bool { return len(a.logs(world.LogQuery{Contains: "ran"})) == 1 })
	a.Supervisor.mu.Lock()
	h := a.hooks["long"]
	pid := h.rec.PID
	a.Supervisor.mu.Unlock()
	if err := a.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d was not waited for: %v", pid, err)
	}
	a.stop()
	var rec hookRecord
	if found, err := load(h.file(), &rec); !found || err != nil || rec.Result == nil || !rec.Result.Lost {
		t.Errorf("the record says %+v, %v", rec.Result, err)
	}
	b := newBench(t, dir)
	b.apply(world.Wanted{Hooks: []world.Hook{hook}})
	b.until("lost", func(s Seen) bool { return s.Hooks["long"].Lost })
}
