package local

import (
	"os"
	"path/filepath"
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
