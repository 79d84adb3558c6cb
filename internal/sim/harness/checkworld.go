package harness

import (
	"context"
	"reflect"

	"titrate/internal/rollout"
)

// checkWorld checks the world as it is now.
func (h *history) checkWorld() {
	for k, split := range h.world.Table {
		if len(split) == 0 {
			continue
		}
		sum := rollout.Weight(0)
		for _, s := range split {
			sum += s.Weight
			if s.Weight > 0 {
				h.holds(keepsTraffic, h.world.Asked(k, s.Version) > 0 || h.changesPlaces(k), "%s %s has %s of the traffic, and no instances are asked for", k.Workload, s.Version, s.Weight)
			}
		}
		h.holds(weightsSum, sum == rollout.Full, "the weights of %s sum to %s", k, sum)
	}
	h.holds(drawnReady, h.world.DrawnUnready() == 0, "%d requests", h.world.DrawnUnready())
	target, router := h.world.Stamps()
	h.holds(oneWriter, !target.Less(h.checks.target) && !router.Less(h.checks.router), "the target went from world %v to %v, the router from %v to %v",
		h.checks.target, target, h.checks.router, router)
	h.checks.target, h.checks.router = target, router
	writers := h.world.TwoWriters()
	h.holds(oneVolumeWriter, writers == "", "%s", writers)
	key := h.world.RanTwice()
	h.holds(onceOnly, key == "", "%s", key)
}

// changesPlaces reports whether a rollout is on its way in which a workload's versions
// change places: the router may not know yet that nothing serves (R31).
func (h *history) changesPlaces(k rollout.Key) bool {
	for _, id := range h.store.Live() {
		r := h.store.Record(id)
		for i, exclusive := range r.State.Exclusive {
			if exclusive && r.Plan.Key(i) == k {
				return true
			}
		}
	}
	return false
}

// replayedOneIn is of how many rollouts one is replayed as it would be read from a
// disk, which costs more than all other checks. Each look is decided again when it
// is stored.
const replayedOneIn = 4

// checkEnd checks a world in which nothing is in progress any more, and plays
// what is stored again.
func (h *history) checkEnd() {
	for k, split := range h.world.Table {
		stable := h.store.Stable(k)
		if stable == 0 {
			h.holds(endsAsWanted, len(split) == 0, "%s has no stable version, and is split %v", k, split)
			continue
		}
		h.holds(endsAsWanted, len(split) == 1 && shareOf(split, stable) == rollout.Full, "%s is split %v, and %s is stable", k, split, stable)
		for _, v := range h.world.Versions(k) {
			n := h.world.Asked(k, v)
			h.holds(endsAsWanted, v == stable && n > 0 || v != stable && n == 0, "%d instances of %s %s are asked for, and %s is stable", n, k.Workload, v, stable)
		}
	}
	for id := int64(1); id <= h.store.Last(); id++ {
		r := h.store.Record(id)
		h.holds(allEnd, r.State.Phase == rollout.Ended, "rollout %d is %s", id, r.State.Phase)
		h.holds(frozen, reflect.DeepEqual(r.Plan, h.checks.plans[id]), "rollout %d", id)
		if id%replayedOneIn != 0 {
			continue
		}
		replayed, err := h.newest.Replay(context.Background(), id)
		h.holds(replays, err == nil && replayed.Agrees(), "rollout %d: %v %v", id, err, replayed.Problems)
	}
}
