package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/certificate"
	"titrate/internal/events"
	"titrate/internal/gateway"
	"titrate/internal/node"
	"titrate/internal/rollout"
	"titrate/internal/target/local"
	"titrate/internal/world"
)

// machine is the node's side of the protocol: it joins gateway and supervisor,
// which do not know each other.
type machine struct {
	gateway     *gateway.Gateway
	supervisor  *local.Supervisor
	events      *events.Events
	door        *eventDoor // where these are sent to
	snapshot    *node.Snapshot
	logs        string
	log         *slog.Logger
	started     time.Time
	epoch       string
	confinement []string
	kick        chan struct{} // something may have changed
	drawn       chan struct{} // closed when the gateway draws nothing any more
	undrawn     sync.Once     // closes it
	before      *before       // that leave
	https       HTTPS
	stock       *certificate.Stock // nil: no TLS

	taking     sync.Mutex // one world at a time: applied, persisted, then acknowledged
	handedOver bool       // to the next node: nothing is persisted any more; guarded by taking

	mu       sync.Mutex
	wanted   world.Wanted
	calls    map[[2]string]bool // app and environment, of those that have functions
	seen     world.Seen
	sequence uint64
	changed  chan struct{} // closed, and replaced, when seen changes
}

// Take applies and persists w, then acknowledges it (R18).
func (m *machine) Take(ctx context.Context, w world.Wanted) error {
	m.taking.Lock()
	defer m.taking.Unlock()
	m.mu.Lock()
	have := m.wanted.Stamp
	m.mu.Unlock()
	switch {
	case w.Stamp == have:
		return nil
	case w.Stamp.Less(have):
		return fmt.Errorf("world %d.%d after %d.%d: %w", w.Stamp.Token, w.Stamp.Revision, have.Token, have.Revision, world.ErrStale)
	}
	w.Damage = m.gateway.Damage()
	if err := m.apply(ctx, w); err != nil {
		return err
	}
	if err := m.snapshot.Save(w); err != nil {
		return err
	}
	m.mu.Lock()
	m.wanted = w
	m.mu.Unlock()
	m.nudge()
	return nil
}

// harmed reports whether candidates with a damage budget have failed more requests than is
// kept.
func (m *machine) harmed() bool {
	m.mu.Lock()
	kept := m.wanted.Damage
	m.mu.Unlock()
	return !slices.EqualFunc(kept, m.gateway.Damage(), func(a, b world.Damage) bool {
		return a.Rollout == b.Rollout && a.Attempt == b.Attempt && a.Served == b.Served
	})
}

// keepDamage keeps what the gateway has seen, and has cut by itself (R26), and tells of it.
func (m *machine) keepDamage() {
	m.taking.Lock()
	defer m.taking.Unlock()
	if m.handedOver { // the snapshot is the next node's
		return
	}
	m.mu.Lock()
	w := m.wanted
	w.Damage = m.gateway.Damage()
	m.wanted = w
	m.mu.Unlock()
	if err := m.snapshot.Save(w); err != nil {
		m.log.Error("keep what a candidate has broken", slog.Any("error", err)) // the server hears of it all the same
	}
	m.nudge()
}

// cuts are the attempts that have spent their damage budget.
func (m *machine) cuts() (cuts []world.Damage) {
	for _, d := range m.gateway.Damage() {
		if !d.Cut.IsZero() {
			d.Given = 0 // it would make every look differ
			cuts = append(cuts, d)
		}
	}
	return cuts
}

// apply gives w to the gateway first: what is to stop loses its traffic before it
// is asked to end.
func (m *machine) apply(ctx context.Context, w world.Wanted) error {
	if err := m.gateway.Apply(gateway.TableOf(w)); err != nil {
		return err
	}
	m.before.follow(ctx, w)
	if m.stock != nil {
		m.stock.SetHosts(m.https.hosts(w))
	}
	m.applyEvents(w)
	return m.supervisor.Apply(w)
}

func (m *machine) nudge() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// Seen answers when there is something newer than after, or when ctx ends.
func (m *machine) Seen(ctx context.Context, after uint64) world.Seen {
	for {
		m.mu.Lock()
		seen, changed := m.seen, m.changed
		m.mu.Unlock()
		if seen.Sequence > after {
			return seen
		}
		select {
		case <-ctx.Done():
			return seen
		case <-changed:
		}
	}
}

// observeEvery is how often what has no event of its own is looked at: open
// connections and idle workloads.
const observeEvery = 200 * time.Millisecond

// observe keeps seen up to date until ctx ends. It begins when all that ran before
// has been taken back: what is not known yet must not be shown as gone (R31).
func (m *machine) observe(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-m.supervisor.TakenBack():
	}
	tick := time.NewTicker(observeEvery)
	defer tick.Stop()
	var kept time.Time
	for {
		_, changed := m.supervisor.Seen()
		m.look(m.observation)
		if now := time.Now(); now.Sub(kept) > time.Second && m.harmed() {
			kept = now
			m.keepDamage()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-m.kick:
		case <-tick.C:
		}
	}
}

// look takes one observation, and gives it a sequence of its own if it differs
// from the last.
func (m *machine) look(observation func() world.Seen) {
	m.mu.Lock()
	// Before it is looked: what is told of a world must not be of one before it (R31).
	stamp := m.wanted.Stamp
	m.mu.Unlock()
	now := observation()
	m.mu.Lock()
	defer m.mu.Unlock()
	now.Stamp = stamp
	now.Sequence = m.seen.Sequence
	if m.seen.Sequence != 0 && reflect.DeepEqual(now, m.seen) {
		return
	}
	m.sequence++
	now.Sequence = m.sequence
	m.seen = now
	close(m.changed)
	m.changed = make(chan struct{})
}

// idleShown is from when on a workload is shown as idle: before that its last
// request would make every look differ.
const idleShown = time.Minute

func (m *machine) observation() world.Seen {
	runs, _ := m.supervisor.Seen()
	served := m.gateway.Served()
	leaving := m.before.open(context.Background())
	s := world.Seen{
		Epoch: m.epoch, Started: m.started, Sandbox: m.confinement, Served: served.Stamp, Since: served.Since,
		Instances: runs.Instances, Fleets: runs.Fleets, Hooks: runs.Hooks, Accessories: runs.Accessories, DiskFull: runs.DiskFull, Idle: map[string]time.Time{}, Cuts: m.cuts(),
	}
	if m.stock != nil {
		s.Certificates = m.stock.Hosts()
	}
	for i := range s.Fleets {
		f := &s.Fleets[i]
		f.Weight, _ = served.Of(f.Key, f.Version)
		if f.Weight == 0 { // only a version without traffic is waited for
			f.Open = m.gateway.Open(f.Key, f.Version)
			for _, o := range leaving {
				if o.Key == f.Key && o.Version == f.Version {
					f.Open += o.Open
				}
			}
		}
		if since := m.gateway.Idle(f.Key); !since.IsZero() && time.Since(since) > idleShown {
			s.Idle[f.Key.String()] = since.Round(0)
		}
	}
	return s
}

// Served says what the gateway splits in fact.
func (m *machine) Served() world.Served { return m.gateway.Served() }

// Shares says how requests were drawn in fact (R15).
func (m *machine) Shares() []world.Shares {
	m.mu.Lock()
	var keys []rollout.Key
	for _, w := range m.wanted.Workloads {
		keys = append(keys, w.Key)
	}
	m.mu.Unlock()
	recent := m.recent()
	var out []world.Shares
	for _, k := range keys {
		sh, ok := m.gateway.Share(k)
		if !ok {
			continue
		}
		one := world.Shares{Key: k, Since: sh.Since, Off: sh.Off}
		for _, v := range sh.Versions {
			one.Versions = append(one.Versions, world.Observed{
				Version: v.Version, Asked: v.Asked, Drawn: v.Drawn, Matched: v.Matched, Open: v.Open, Recent: recent[versionKey{k, v.Version}],
				Shielded: v.Shielded, Served: v.Served,
			})
		}
		out = append(out, one)
	}
	return out
}

type versionKey struct {
	rollout.Key
	version rollout.Version
}

const recently = 10 * time.Second

// recent sums up the windows of the last ten seconds. Cursors are microseconds of
// the clock.
func (m *machine) recent() map[versionKey]world.Recent {
	now, cancel := context.WithCancel(context.Background())
	cancel() // what has closed, without waiting for more
	sums := map[versionKey]analysis.Window{}
	for _, w := range m.gateway.Windows(now, uint64(time.Now().Add(-recently).UnixMicro())) {
		k := versionKey{w.Key, w.Version}
		sum := sums[k]
		sum.Length += w.Length
		sum.Requests += w.Requests
		sum.Failed += w.Failed
		sum.Latency.Merge(w.Latency)
		sums[k] = sum
	}
	out := map[versionKey]world.Recent{}
	for k, sum := range sums {
		r := world.Recent{P50: sum.Latency.Quantile(0.5), P99: sum.Latency.Quantile(0.99)}
		if sum.Requests > 0 && sum.Length > 0 {
			r.RPS, r.Failed = float64(sum.Requests)/sum.Length.Seconds(), float64(sum.Failed)/float64(sum.Requests)
		}
		out[k] = r
	}
	return out
}

// Windows returns what closed after a cursor.
func (m *machine) Windows(ctx context.Context, after uint64) []world.VersionWindow {
	return m.gateway.Windows(ctx, after)
}

// Logs writes the matching lines.
func (m *machine) Logs(ctx context.Context, q world.LogQuery, w io.Writer) error {
	out := json.NewEncoder(w)
	for line, err := range local.ReadLogs(ctx, m.logs, q) {
		if err != nil {
			return fmt.Errorf("read logs: %w", err)
		}
		if err := out.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// nothingDrawn tells the supervisor that functions are called no more.
func (m *machine) nothingDrawn() { m.undrawn.Do(func() { close(m.drawn) }) }

// Stop ends every workload, and waits for the nodes before this one.
func (m *machine) Stop(ctx context.Context) error {
	err := m.supervisor.Stop(ctx)
	m.before.awaitEnd(ctx)
	return err
}

// A starting node lets connections wait in the kept socket until it has taken back
// the instances that run, takenBackIn at most, and then until those that are not
// ready have answered, readyIn at most: they may never.
const (
	takenBackIn = 10 * time.Second
	readyIn     = 250 * time.Millisecond
)

// awaitReady waits until every workload with traffic has a ready version of those that
// have it: one stands in for the other (R5). While the node before serves nobody waits, and
// it is every version that is waited for.
func (m *machine) awaitReady(ctx context.Context) {
	// Before all are taken back, those that are not yet would not be missed here,
	// and their requests would be refused.
	back, cancel := context.WithTimeout(ctx, takenBackIn)
	defer cancel()
	select {
	case <-back.Done():
		m.log.Error("what ran before was not taken back in time", slog.Duration("waited", takenBackIn))
		return
	case <-m.supervisor.TakenBack():
	}
	ctx, cancel = context.WithTimeout(ctx, readyIn)
	defer cancel()
	served, alone := m.gateway.Served(), !m.before.any()
	for {
		s, changed := m.supervisor.Seen()
		if !waits(s.Fleets, served, alone) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// waits reports whether a version with traffic has nothing ready; alone: a workload of
// which no version has.
func waits(fleets []world.FleetSeen, served world.Served, alone bool) bool {
	return slices.ContainsFunc(fleets, func(f world.FleetSeen) bool {
		w, _ := served.Of(f.Key, f.Version)
		if w == 0 || f.Ready > 0 {
			return false
		}
		return !alone || !slices.ContainsFunc(fleets, func(other world.FleetSeen) bool {
			w, _ := served.Of(other.Key, other.Version)
			return other.Key == f.Key && w > 0 && other.Ready > 0
		})
	})
}

// Metrics answers with what the gateway has counted.
func (m *machine) Metrics() http.Handler { return m.gateway.Metrics() }
