package local

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"

	"golang.org/x/sys/unix"
)

var (
	alone = rollout.Volumes{"data": {Path: "/data"}}
	open  = rollout.Volumes{"data": {Path: "/data", Shared: true}}
)

// writing is a fleet with volumes.
func writing(v rollout.Version, count int, volumes rollout.Volumes, mode ...string) world.Fleet {
	f := run(v, count, mode...)
	f.Volumes, f.Drain = volumes, time.Second
	return f
}

// TestR31_aSecondWriterWaitsWhateverIsWanted asks for two versions, and for two
// instances of one, at the same time: who comes second says whom it waits for.
func TestR31_aSecondWriterWaitsWhateverIsWanted(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.want(writing(1, 1, alone, "serve"))
	first := b.untilReady(1, 1)[0]
	b.setOpen(first.Addr, 1) // it drains for a while
	b.want(writing(1, 2, alone, "serve"), writing(2, 1, open, "serve"))
	seen := b.until("both wait", func(s Seen) bool { return s.instance("orders-v1-b").Why != "" && s.instance("orders-v2-a").Why != "" })
	for _, id := range []string{"orders-v1-b", "orders-v2-a"} {
		if in := seen.instance(id); in.PID != 0 || in.Why != "waits until orders-v1-a has let go of the volume data" {
			t.Errorf("%+v", in)
		}
	}
	b.want(writing(2, 1, open, "serve"))
	b.until("the first drains", func(s Seen) bool { return s.instance("orders-v1-a").State == world.InstanceDraining })
	if in := seen.instance("orders-v2-a"); in.PID != 0 {
		t.Errorf("it starts while another drains: %+v", in)
	}
	b.setOpen(first.Addr, 0)
	b.untilReady(2, 1)
	b.want(writing(2, 2, open, "serve"), writing(3, 1, open, "serve"))
	b.untilReady(2, 2)
	b.untilReady(3, 1)
}

// TestR31_aKilledNodeStillKnowsWhoWrites lets go of a supervisor as its death would:
// the next one takes the writer back, and the lock was never free.
func TestR31_aKilledNodeStillKnowsWhoWrites(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	a := newBench(t, dir)
	a.want(writing(1, 1, alone, "serve"))
	a.untilReady(1, 1)
	a.stop()
	lock, err := os.Open(a.volume(orders, "data") + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
		t.Error("nobody holds the volume, though its writer lives")
	}
	b := newBench(t, dir)
	b.want(writing(1, 1, alone, "serve"), writing(2, 1, alone, "serve"))
	b.until("the second waits", func(s Seen) bool {
		return s.instance("orders-v2-a").Why == "waits until orders-v1-a has let go of the volume data"
	})
	b.want(writing(2, 1, alone, "serve"))
	b.untilReady(2, 1)
}

// heldByAnother has a process that is no instance hold a volume until the lock is closed.
func (b *bench) heldByAnother(volume string) *os.File {
	b.t.Helper()
	path := b.volume(orders, volume) + ".lock"
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		b.t.Fatal(err)
	}
	lock, err := os.Create(path)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = lock.Close() }) // it may be closed
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		b.t.Fatal(err)
	}
	return lock
}

// TestR31_aProcessThatNobodyKnowsIsWaitedFor holds a volume by a process that is no
// instance, as one that an instance left behind under another name would.
func TestR31_aProcessThatNobodyKnowsIsWaitedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	lock := b.heldByAnother("data")
	b.want(writing(1, 1, alone, "serve"))
	b.until("it waits", func(s Seen) bool { return strings.Contains(s.instance("orders-v1-a").Why, "T0580") })
	lock.Close()
	if in := b.until("it starts", func(s Seen) bool { return s.instance("orders-v1-a").PID != 0 }).instance("orders-v1-a"); in.Why != "" {
		t.Errorf("%+v", in)
	}
}

// TestVolumes_whatIsWrittenOutlivesTheVersion writes to a volume, reads it in the next
// version, and does not see it in a hook.
func TestVolumes_whatIsWrittenOutlivesTheVersion(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	says := func(text string) {
		t.Helper()
		b.until(text, func(Seen) bool {
			return slices.ContainsFunc(b.logs(world.LogQuery{Workload: orders.Workload}), func(l world.LogLine) bool { return l.Text == text })
		})
	}
	shell := func(v rollout.Version, line string) world.Fleet {
		f := writing(v, 1, rollout.Volumes{"user-data": {Path: "/x"}, "cache": {Path: "/y", Shared: true}})
		f.Worker, f.Command = true, []string{"/bin/sh", "-c", line + "; sleep 1000"}
		return f
	}
	b.want(shell(1, `echo beans >$TITRATE_VOLUME_USER_DATA/a && echo wrote; cat $TITRATE_VOLUME_USER_DATA.lock && echo seen || echo hidden`))
	says("wrote")
	says("hidden")
	b.want(shell(2, `echo "read $(cat $TITRATE_VOLUME_USER_DATA/a)"`))
	says("read beans")
	st, err := os.Stat(b.volume(orders, "user-data"))
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", st, err)
	}
	b.apply(world.Wanted{
		Workloads: []world.Workload{{Key: orders, Fleets: []world.Fleet{shell(2, "true")}}},
		Hooks:     []world.Hook{{Key: "k", Workload: orders, Kind: rollout.HookRelease, Command: `echo "hook ${TITRATE_VOLUME_USER_DATA:-none}"; touch $TITRATE_VOLUME_CACHE/b && echo shared`, Timeout: time.Minute, Fleet: shell(2, "true")}},
	})
	says("hook none")
	says("shared")
	b.want()
	b.until("nothing runs", func(s Seen) bool { return len(s.Instances) == 0 })
	if text, err := os.ReadFile(filepath.Join(b.volume(orders, "user-data"), "a")); string(text) != "beans\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestR31_theNodeKeepsNoLock looks at this program's open files: a lock that it kept
// would outlive the process that it was for.
func TestR31_theNodeKeepsNoLock(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.want(writing(1, 1, alone, "serve"))
	b.untilReady(1, 1)
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name())); err == nil && to == b.volume(orders, "data")+".lock" {
			t.Errorf("descriptor %s is %s", e.Name(), to)
		}
	}
}

// TestR31_whatHasFailedLetsGo has a version crash that has the volume: the next one gets
// it while the first waits to be started again.
func TestR31_whatHasFailedLetsGo(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.want(writing(1, 1, alone, "crash"))
	b.until("it has crashed", func(s Seen) bool { return s.instance("orders-v1-a").Restarts >= 4 }) // and waits for a while
	b.want(writing(1, 1, alone, "crash"), writing(2, 1, alone, "serve"))
	b.untilReady(2, 1)
}

// TestR31_whoeverWaitsForOneVolumeHoldsNoOther has a process that nobody knows hold the
// second of two volumes.
func TestR31_whoeverWaitsForOneVolumeHoldsNoOther(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	lock := b.heldByAnother("data")
	both := rollout.Volumes{"data": {Path: "/data"}, "cache": {Path: "/cache"}}
	b.want(writing(1, 1, both, "serve"))
	b.until("it waits for the second", func(s Seen) bool { return strings.Contains(s.instance("orders-v1-a").Why, "the volume data (T0580)") })
	lock.Close()
	b.untilReady(1, 1)
}
