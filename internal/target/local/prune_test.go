package local

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

func TestPrune_removesWhatNobodyWantsAnyMore(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.apply(world.Wanted{
		Workloads: []world.Workload{{Key: orders, Fleets: []world.Fleet{run(1, 1, "serve"), run(2, 1, "serve")}}},
		Hooks:     []world.Hook{b.hook("old", "true", time.Minute), b.hook("wanted", "true", time.Minute)},
	})
	b.until("hooks ended", func(s Seen) bool {
		return len(s.Hooks) == 2 && s.Hooks["old"] == (rollout.HookResult{}) && s.Hooks["wanted"] == (rollout.HookResult{})
	})
	b.untilReady(2, 1)
	get(t, b.untilReady(1, 1)[0].Addr, "/write?path=$TITRATE_STATE/kept")
	b.apply(world.Wanted{
		Workloads: []world.Workload{{Key: orders, Fleets: []world.Fleet{run(2, 1, "serve")}}},
		Hooks:     []world.Hook{b.hook("wanted", "true", time.Minute)},
	})
	b.until("v1 is gone", func(s Seen) bool { return s.fleet(1).Version == 0 && b.fleetFiles() == 1 })
	future := time.Now().Add(time.Hour)
	b.pruneFleets(future)
	b.pruneHooks(future)
	b.pruneLogs(future)
	if n := b.fleetFiles(); n != 0 {
		t.Errorf("%d records of fleets are left", n)
	}
	if m, _ := filepath.Glob(filepath.Join(b.layout.hooks(), "*.json")); len(m) != 1 {
		t.Errorf("records of hooks: %v, want the wanted one's", m)
	}
	if _, err := os.Stat(filepath.Join(b.layout.state(orders), "kept")); err != nil {
		t.Errorf("the workload's own data: %v", err)
	}
}

// fleetFiles counts the records of fleets: only one that is not wanted, or had
// something to count, has one.
func (b *bench) fleetFiles() int {
	m, _ := filepath.Glob(filepath.Join(b.layout.workload(orders), "*.fleet"))
	return len(m)
}

// A workload that was silent for longer than the retention, and then writes.
func TestPrune_aLogThatWasQuietIsWrittenOn(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := &Supervisor{cfg: Config{Logs: root, LogSize: 1 << 20, LogFiles: 5, Now: time.Now, Log: slog.New(slog.DiscardHandler)}, logs: map[rollout.Key]*logFile{}}
	l := s.logFile(orders)
	l.write("orders-v1-a", "stdout", [][]byte{[]byte("started")})
	current := filepath.Join(logDir(root, orders), currentLog)
	old := time.Now().Add(-31 * 24 * time.Hour)
	if err := os.Chtimes(current, old, old); err != nil {
		t.Fatal(err)
	}
	s.pruneLogs(time.Now().Add(-30 * 24 * time.Hour))
	l.write("orders-v1-a", "stderr", [][]byte{[]byte("the line that everybody needs")})
	text, err := os.ReadFile(current)
	if err != nil || !strings.Contains(string(text), "everybody needs") || strings.Contains(string(text), "started") {
		t.Errorf("%q, %v", text, err)
	}
}
