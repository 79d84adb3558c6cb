package gateway

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// Gateway routes, splits, proxies and counts. Its methods may be called from any
// goroutine, before, during and after [Gateway.Serve].
type Gateway struct {
	cfg        Config
	log        *slog.Logger
	table      atomic.Pointer[snapshot] // never nil
	inFlight   atomic.Int64
	stopping   atomic.Bool
	looped     counter       // connections to clients and to instances that loops have
	movedTotal counter       // that they have left to net/http
	drained    chan struct{} // holds a token when a drain has begun
	serving    chan struct{} // closed when Serve accepts
	closed     chan struct{} // closed when Serve accepts nothing any more
	relieved   chan struct{} // closed by Relieve
	relieve    sync.Once
	cuts       chan struct{} // holds one when a damage budget was spent
	windows    ledger
	access     *accessLog // nil: none is kept

	securePort string // of the TLS listener; set before it is served

	mu        sync.Mutex
	applied   bool
	left      time.Time // when it was relieved
	fleets    map[fleetID]*fleet
	budgets   map[rollout.Key]*budget
	damages   map[attemptID]*damage
	idle      map[rollout.Key]time.Time
	queueAges map[rollout.Key]time.Duration
	addresses addresses
	conflicts []string
}

// New makes a gateway that routes nothing yet. An error names the bad key of c.
func New(c Config) (*Gateway, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	g := &Gateway{
		cfg:     c,
		log:     c.Logger,
		drained: make(chan struct{}, 1), cuts: make(chan struct{}, 1),
		serving: make(chan struct{}), closed: make(chan struct{}), relieved: make(chan struct{}),
		fleets:  map[fleetID]*fleet{},
		budgets: map[rollout.Key]*budget{},
		damages: map[attemptID]*damage{},
		idle:    map[rollout.Key]time.Time{},

		queueAges: map[rollout.Key]time.Duration{},
	}
	g.access = newAccessLog(c.AccessLog, c.Logger)
	g.windows.begin(c.Clock(), c.After, c.Ring)
	g.table.Store(&snapshot{since: c.Clock()})
	return g, nil
}

// Apply makes t the routing table: each request that begins after it has
// returned is routed by t, each that began before goes on as it began (R17). It
// is whole: versions that t does not name are drained. The same stamp again does
// nothing; a smaller one is refused with an error that wraps world.ErrStale, and
// an invalid table with one that names every fault; both change nothing.
func (g *Gateway) Apply(t Table) error {
	if err := t.Validate(); err != nil {
		return fmt.Errorf("routing table: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	old := g.table.Load()
	if g.applied && t.Stamp == old.stamp {
		return nil
	}
	if t.Stamp.Less(old.stamp) {
		return fmt.Errorf("routing table: %w", world.ErrStale)
	}
	s := g.compile(t, old)
	g.table.Store(s)
	g.applied = true
	// Drains begin when no new request can come, so that none is cut that began
	// a moment before.
	g.startDrains(s)
	return nil
}

// compile makes the snapshot of a valid table. Guarded by mu.
func (g *Gateway) compile(t Table, old *snapshot) *snapshot {
	now := g.cfg.Clock()
	s := &snapshot{
		stamp: t.Stamp, since: now, previewKey: slices.Clone(t.PreviewKey),
		lanes: make(map[rollout.Key]*lane, len(t.Workloads)),
	}
	for _, f := range g.fleets {
		f.listed = false
	}
	for _, d := range g.damages {
		d.named = false
	}
	g.remember(t.Damage)
	budgets := make(map[rollout.Key]*budget, len(t.Workloads))
	lanes := make([]*lane, len(t.Workloads))
	idle := make(map[rollout.Key]time.Time, len(t.Workloads))
	for i, w := range t.Workloads {
		l := &lane{key: w.Key, stable: w.Stable, shields500: w.Shield500, budget: g.budgets[w.Key], versions: make(map[rollout.Version]*fleet, len(w.Versions))}
		for _, v := range w.Versions {
			f := g.fleet(fleetID{w.Key, v.Version})
			f.listed, f.length = true, v.Drain
			l.versions[v.Version] = f
		}
		if l.budget == nil {
			l.budget = &budget{}
			l.budget.sample(now, 0)
		}
		budgets[w.Key] = l.budget
		l.split = g.splitOf(w, l, old.lanes[w.Key], now)
		g.limit(w, l, old.lanes[w.Key], now)
		l.matches, l.maintenance = matchesOf(w, l), w.Maintenance
		lanes[i], s.lanes[w.Key] = l, l
		if idle[w.Key] = g.idle[w.Key]; idle[w.Key].IsZero() {
			idle[w.Key] = now
		}
	}
	g.idle, g.budgets = idle, budgets
	g.forget()
	maps.DeleteFunc(g.queueAges, func(k rollout.Key, _ time.Duration) bool {
		return old.lanes[k] != nil && s.lanes[k] == nil
	})
	s.routes, g.conflicts = newRoutes(t.Workloads, lanes)
	for _, c := range g.conflicts {
		g.log.Warn("route is claimed twice", slog.String("why", c))
	}
	s.internal = g.addresses.assign(t.Workloads, s.lanes)
	return s
}

// splitOf returns the workload's split: the old one when nothing changed.
func (g *Gateway) splitOf(w Workload, l, old *lane, now time.Time) *split {
	if len(w.Split) == 0 {
		return nil
	}
	if old != nil && old.split != nil && slices.Equal(old.split.shares, sorted(w.Split)) {
		return old.split
	}
	if old != nil && old.split != nil {
		for i := range old.split.drawn {
			l.budget.before.Add(old.split.drawn[i].sum())
		}
	}
	sp := newSplit(w.Split, l.versions, now)
	for _, sh := range sp.shares {
		g.log.Info("weight", slog.String("app", w.Key.App), slog.String("env", w.Key.Env),
			slog.String("workload", w.Key.Workload), slog.String("version", sh.Version.String()),
			slog.String("weight", sh.Weight.String()), slog.Int64("rollout", w.Rollout), slog.Int("attempt", w.Attempt))
	}
	return sp
}

// fleet returns the fleet of an id, made if need be. Guarded by mu.
func (g *Gateway) fleet(id fleetID) *fleet {
	f := g.fleets[id]
	if f == nil {
		f = newFleet(id)
		f.accounts.names = g.routeNames(id.key)
		g.fleets[id] = f
	}
	f.left = time.Time{}
	return f
}

// routeNames are those of a workload's other versions, or new ones. Guarded by mu.
func (g *Gateway) routeNames(k rollout.Key) *routeNames {
	for id, f := range g.fleets {
		if id.key == k {
			return f.accounts.names
		}
	}
	return &routeNames{}
}

// SetInstances says which instances of a version are ready: these and no others.
// When it has returned, no request is drawn on another any more (R5), and those
// that were are counted by [Gateway.OpenAt] until they end. It may be called
// before the table names the version.
func (g *Gateway) SetInstances(k rollout.Key, v rollout.Version, ready []Endpoint) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fleet(fleetID{k, v}).setReady(ready, g.connect)
}

// AddResource adds what an instance of a version used to the version's open
// window. For a version that nobody knows it does nothing.
func (g *Gateway) AddResource(k rollout.Key, v rollout.Version, r Resource) {
	if f := g.known(k, v); f != nil {
		f.meter.addResource(r)
	}
}

// SetQueueAge says how old the oldest message is in the queues that call a workload:
// each window of a version with traffic carries it, from the one that is open on, until
// it is set anew.
func (g *Gateway) SetQueueAge(k rollout.Key, age time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if age <= 0 {
		delete(g.queueAges, k)
		return
	}
	g.queueAges[k] = age
}

func (g *Gateway) known(k rollout.Key, v rollout.Version) *fleet {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.fleets[fleetID{k, v}]
}

// Served returns the split by which every new request is drawn, and since when.
// A request draws from one snapshot that it loads as it begins, so a table is
// served by all paths as soon as [Gateway.Apply] has returned.
func (g *Gateway) Served() world.Served {
	return g.table.Load().served()
}

// Conflicts returns a sentence for each route of the table that another
// workload's claim has taken.
func (g *Gateway) Conflicts() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.conflicts)
}

// Open returns how many requests and connections are open on a version,
// previews included.
func (g *Gateway) Open(k rollout.Key, v rollout.Version) int {
	f := g.known(k, v)
	if f == nil {
		return 0
	}
	return f.open.count()
}

// OpenAt returns how many requests and connections are open on the instances at
// an address, ready or not.
func (g *Gateway) OpenAt(addr string) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range g.fleets {
		for _, in := range f.all {
			if in.Addr == addr {
				n += int(in.open.Load())
			}
		}
	}
	return n
}

// Asked reports whether an instance at an address has been asked anything since the
// last call for it, or still has something open.
func (g *Gateway) Asked(addr string) (asked bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range g.fleets {
		for _, in := range f.all {
			if in.Addr == addr && (in.asked.Swap(false) || in.open.Load() > 0) {
				asked = true
			}
		}
	}
	return asked
}

// Idle returns since when all versions of a workload have measured 0 requests
// (R11): at the earliest since the workload was first in the table of this
// process. It is zero for a workload that the table does not name.
func (g *Gateway) Idle(k rollout.Key) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.idle[k]
}
