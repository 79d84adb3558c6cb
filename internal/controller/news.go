package controller

import (
	"slices"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// news is which rollouts have something new to decide on. The others are looked
// at only for what falls due by time, so that a thousand rollouts which wait cost
// little.
type news struct {
	all bool
	of  map[int64]bool
	at  int // where the sweep through all goes on
}

func (n *news) note(id int64) {
	if n.of == nil {
		n.of = map[int64]bool{}
	}
	n.of[id] = true
}

// noteKey notes the rollouts of a workload: what one does may be what another
// waits for.
func (m *memory) noteKey(k rollout.Key) {
	for _, l := range m.byKey[k] {
		m.news.note(l.Plan.Rollout)
	}
}

// take returns the rollouts with news, in order, and of the others the next few
// of a sweep through all.
func (m *memory) take(sweep int) []int64 {
	n := &m.news
	if n.all || len(m.order) <= sweep {
		n.all = false
		clear(n.of)
		return slices.Clone(m.order)
	}
	ids := make([]int64, 0, len(n.of)+sweep)
	for id := range n.of {
		ids = append(ids, id)
	}
	clear(n.of)
	for range sweep {
		n.at = (n.at + 1) % len(m.order)
		ids = append(ids, m.order[n.at])
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (c *Controller) take(sweep int) []int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.memory.take(sweep)
}

// compare notes the rollouts for which an observation differs from the one
// before it.
func (m *memory) compare(before, after *sight) {
	if before.known != after.known || before.seen.Stamp.Token != after.seen.Stamp.Token || after.served.Stamp == (world.Stamp{}) {
		m.news.all = true
		return
	}
	for k, f := range after.fleets {
		if before.fleets[k] != f {
			m.noteKey(k.Key)
		}
	}
	for k := range before.fleets {
		if _, ok := after.fleets[k]; !ok {
			m.noteKey(k.Key)
		}
	}
	// What has been asked for since the table of before may have arrived, and so
	// may the world in which an attempt begins.
	for id, l := range m.live {
		if before.served.Stamp.Less(l.asked) || before.seen.Stamp.Less(l.began) || before.seen.Stamp.Less(l.wished) || len(l.wish.Hooks) > 0 {
			m.news.note(id)
		}
	}
}
