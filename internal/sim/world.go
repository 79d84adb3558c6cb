package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// Nature is how the instances of one version behave. The zero Nature starts at
// once, answers everything at once and well, and never dies.
type Nature struct {
	Start   time.Duration // until an instance is ready; it takes between half of it and twice as long
	Never   bool          // it never gets ready
	Exits   string        // not empty: it exits instead of getting ready, with these words
	Dies    float64       // the chance that a ready instance dies within a second
	Errors  float64       // the share of requests answered 500
	Latency time.Duration // of its median request

	// Of a function: the share of its calls that are not done in their time, and that
	// find all instances at work.
	Timeouts, Throttled float64

	Hooks HookNature // how its hooks end
}

// HookNature is how the hooks of a version end.
type HookNature int

// The ends of hooks.
const (
	HookPasses HookNature = iota
	HookFails
	HookTimesOut
	HookIsLost // it ran, but no record says how it ended
)

// Seam names a writing seam of the world.
type Seam string

// The seams that write.
const (
	SeamTarget Seam = "target"
	SeamRouter Seam = "router"
)

// Bugs are what a world may do wrong on purpose: checks that do not find them
// are no checks.
type Bugs struct {
	AnyStamp     bool // target and router take worlds that are older than what they have (R18)
	DrawsUnready bool // the router draws on versions of which nothing is ready (R5)
	HookAgain    bool // hooks run again with each world that names them (R24)
	Blameless    bool // the meter counts failures as successes (R27)
	NeverAcks    bool // the router never says that a table is served (R21)
	// Fleets and Table change what target and router understand of what they are
	// asked for; nil: they understand it.
	Fleets, Table func(*world.Wanted)
}

// World is a node that is not there: Target, Router and Meter of a simulated
// installation. It is used by one goroutine, and changes by [World.Pass] and by
// what is asked of it only.
type World struct {
	Clock  *Clock
	Rand   *rand.Rand
	Nature func(k rollout.Key, f world.Fleet) Nature // nil: all versions have the zero nature
	Load   func(k rollout.Key) float64               // requests a second; nil: none but those sent
	Fate   func(s Seam) Fate                         // nil: all is done
	Ack    func() time.Duration                      // how long until all loops have acknowledged a table; nil: at once
	Bugs   Bugs

	targetStamp world.Stamp
	routerStamp world.Stamp
	works       []*work // by key
	byKey       map[rollout.Key]*work
	hooks       map[string]*hookRun
	hookKeys    []string // of hooks, in the order in which they ran
	ackAt       time.Time
	served      world.Served
	sequence    uint64
	epoch       int
	seen        world.Seen // as told last
	changed     bool       // since then
	down        time.Time  // the node is restarting until then
	cursor      uint64
	windows     []world.VersionWindow
	second      time.Time // up to which windows have closed
	unready     int       // requests that were drawn on versions of which nothing was ready
	lost        int       // requests that found nothing ready at all: answered 503
}

// work is one workload as target and router know it.
type work struct {
	key              rollout.Key
	name             string
	fleets           []*fleet
	split            []world.Share // of the router's table
	worker           bool          // it takes no requests
	sent             int           // requests to be answered in this second, beside the load
	quiet            time.Time     // since when all versions measured no request
	rollout          int64
	attempt          int
	nextInstance     int
	routedAt         time.Time
	namedByTheTarget bool
}

// NewWorld returns an empty world whose windows begin at the next full second.
func NewWorld(c *Clock, r *rand.Rand) *World {
	return &World{
		Clock: c, Rand: r, byKey: map[rollout.Key]*work{}, hooks: map[string]*hookRun{}, epoch: 1,
		second: c.Now().Truncate(time.Second), changed: true,
	}
}

func (w *World) work(k rollout.Key) *work {
	if o := w.byKey[k]; o != nil {
		return o
	}
	o := &work{key: k, name: k.String()}
	w.byKey[k] = o
	i, _ := slices.BinarySearchFunc(w.works, o, func(a, b *work) int {
		switch {
		case a.name < b.name:
			return -1
		case a.name > b.name:
			return 1
		}
		return 0
	})
	w.works = slices.Insert(w.works, i, o)
	return o
}

// Pass lets d pass: instances start, die and drain, hooks end, requests are
// answered, and windows close.
func (w *World) Pass(d time.Duration) {
	w.Clock.Advance(d)
	now := w.Clock.Now()
	for _, o := range w.works {
		for _, f := range o.fleets {
			w.live(f, now, d)
		}
		n := len(o.fleets)
		o.fleets = slices.DeleteFunc(o.fleets, func(f *fleet) bool { return f.wanted == 0 && len(f.instances) == 0 })
		w.changed = w.changed || len(o.fleets) != n
	}
	for _, key := range w.hookKeys {
		if h := w.hooks[key]; h.result.Running && !now.Before(h.ends) {
			h.end()
			w.changed = true
		}
	}
	w.acknowledge(now)
	for next := w.second.Add(time.Second); !next.After(now); next = w.second.Add(time.Second) {
		w.close(next)
	}
}

// Restart restarts the node: it comes back after down with its instances and its
// last table, under another epoch. What it did not count is not counted.
func (w *World) Restart(down time.Duration) {
	w.epoch++
	w.down = w.Clock.Now().Add(down)
	w.changed = true
}

// Wipe takes the node's disk: it runs nothing, serves nothing and has taken no
// world.
func (w *World) Wipe() {
	w.targetStamp, w.routerStamp, w.served = world.Stamp{}, world.Stamp{}, world.Served{}
	w.hooks, w.hookKeys = map[string]*hookRun{}, nil
	for _, o := range w.works {
		o.fleets, o.split, o.rollout, o.attempt = nil, nil, 0, 0
	}
	w.epoch++
	w.changed = true
}

// Down reports whether the node is restarting.
func (w *World) Down() bool { return w.Clock.Now().Before(w.down) }

// fate asks what becomes of a write.
func (w *World) fate(s Seam) Fate {
	if w.Fate == nil {
		return Done
	}
	return w.Fate(s)
}

// take holds stamps to R18, and says whether there is something to do.
func (w *World) take(has, s world.Stamp) (act bool, err error) {
	switch {
	case w.Bugs.AnyStamp:
		return true, nil
	case s.Less(has):
		return false, fmt.Errorf("world %d.%d after %d.%d: %w", s.Token, s.Revision, has.Token, has.Revision, world.ErrStale)
	}
	return s != has, nil
}
