package gateway

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// snapshot is a table compiled for the requests' use. It never changes; a
// request routes by the one it began with.
type snapshot struct {
	stamp      world.Stamp
	since      time.Time
	lanes      map[rollout.Key]*lane
	routes     routes
	internal   map[netip.Addr]*lane
	previewKey []byte
}

// lane is one workload in a snapshot.
type lane struct {
	key      rollout.Key
	versions map[rollout.Version]*fleet
	stable   rollout.Version // 0: there is none
	split    *split          // nil: nothing has traffic yet
	matches  *matches        // nil: every request is drawn

	maintenance *rollout.Maintenance // nil: its versions answer

	budget     *budget // of the shield (R25)
	shields500 bool
	damage     *damage // of the rollout's attempt (R26); nil: there is no bound, or nothing to go back to
	toStable   *split  // beside damage: takes split's place when it is cut
}

// split gives out the versions of a workload by weight. It is shared by
// snapshots as long as the weights stay the same, so that what was drawn since
// the weight changed can be told (R15).
type split struct {
	shares  []world.Share // by version, ascending
	fleets  []*fleet      // beside shares
	buckets [rollout.Full]uint8
	since   time.Time
	drawn   []tally // beside shares
}

// tally counts in shards, so that cores do not wait for one another.
type tally [shards]struct {
	n atomic.Uint64
	_ [56]byte // keeps two shards out of one cache line
}

func (t *tally) sum() (n uint64) {
	for i := range t {
		n += t[i].n.Load()
	}
	return n
}

// newSplit lays the shares out over the buckets. Shares must be valid; fleets
// holds one for each.
//
// The buckets are dealt in a fixed order that spreads each version evenly over
// them, versions ascending: when weight moves between two versions, just as many
// buckets as it takes change hands, and no other.
func newSplit(shares []world.Share, fleets map[rollout.Version]*fleet, since time.Time) *split {
	s := &split{shares: sorted(shares), since: since}
	s.drawn = make([]tally, len(s.shares))
	const stride = 6181 // near the golden section of 10,000, and prime to it: visits each bucket once
	at := 0
	for i, sh := range s.shares {
		s.fleets = append(s.fleets, fleets[sh.Version])
		for range sh.Weight {
			s.buckets[at] = uint8(i)
			at = (at + stride) % int(rollout.Full)
		}
	}
	return s
}

// sorted returns the shares by version, ascending.
func sorted(shares []world.Share) []world.Share {
	out := slices.Clone(shares)
	slices.SortFunc(out, func(a, b world.Share) int { return int(a.Version - b.Version) })
	return out
}

// draw gives one version out, each with the probability of its weight: its place among
// the shares.
func (s *split) draw(shard int) int {
	i := s.buckets[rand.IntN(len(s.buckets))]
	s.drawn[i][shard].n.Add(1)
	return int(i)
}

// undraw takes back a draw of which nobody has seen anything.
func (s *split) undraw(i, shard int) { s.drawn[i][shard].n.Add(^uint64(0)) }

// failOver takes an instance of another version that has traffic and something ready
// beside those tried, drawn by weight; nil when there is none (R5).
func (s *split) failOver(from *fleet, tried []*instance) (*fleet, *instance) {
	out := make([]bool, len(s.fleets))
	for {
		sum := 0
		for i, f := range s.fleets {
			out[i] = out[i] || f == from || s.shares[i].Weight == 0 || len(*f.ready.Load()) == 0
			if !out[i] {
				sum += int(s.shares[i].Weight)
			}
		}
		if sum == 0 {
			return from, nil
		}
		r := rand.IntN(sum)
		for i, f := range s.fleets {
			if out[i] {
				continue
			}
			if r -= int(s.shares[i].Weight); r < 0 {
				if in := f.acquire(tried); in != nil {
					return f, in
				}
				out[i] = true // its last instance has just gone, or was tried
				break
			}
		}
	}
}

// served returns the split in the world's words.
func (s *snapshot) served() world.Served {
	out := world.Served{Stamp: s.stamp, Since: s.since, Split: make(map[string][]world.Share, len(s.lanes))}
	for k, l := range s.lanes {
		if sp := l.current(); sp != nil {
			out.Split[k.String()] = slices.Clone(sp.shares)
		}
	}
	return out
}
