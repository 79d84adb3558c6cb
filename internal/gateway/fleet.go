package gateway

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"titrate/internal/invocation"
	"titrate/internal/rollout"
)

// Endpoint is one ready instance of a version. Endpoints are compared: a Callee must be
// of a type that can be, such as a pointer, and is the same as long as it is equal.
type Endpoint struct {
	ID   string // the instance's id: another process is another endpoint, even at the same address
	Addr string // host:port
	// Callee is a function's version, which is called and takes the place of all of its
	// instances: they come and go by demand behind it. Nil: it is connected to at Addr.
	Callee invocation.Callee
}

// fleetID names a version of a workload.
type fleetID struct {
	key     rollout.Key
	version rollout.Version
}

// fleet is one version of a workload: where it can be reached, what is open on
// it, what it did. It outlives routing tables.
type fleet struct {
	fleetID
	ready    atomic.Pointer[[]*instance] // never nil; replaced whole
	drain    atomic.Pointer[drain]       // nil: keeps its connections
	open     registry
	meter    meter
	totals   totals
	accounts accounts

	// Below, guarded by Gateway.mu.
	all    []*instance    // ready ones, and those that still have requests
	length time.Duration  // of its drain, as the last table that named it has it
	listed bool           // the current table names it
	weight rollout.Weight // in the current table
	left   time.Time      // when it was found to be of no more use
}

func newFleet(id fleetID) *fleet {
	f := &fleet{fleetID: id}
	f.ready.Store(&[]*instance{})
	return f
}

// instance is one process that answers requests.
type instance struct {
	Endpoint
	open     atomic.Int64
	asked    atomic.Bool // since Gateway.Asked was called for it
	gone     atomic.Bool // not ready any more: whoever sees it must not use it
	upstream upstream
}

// upstream is how the front reaches one instance.
type upstream interface {
	// close drops idle connections; requests that are open go on.
	close()
}

// acquire takes one ready instance that is not among those tried, nil when there
// is none. It is the less loaded of two drawn ones. The caller releases it.
func (f *fleet) acquire(tried []*instance) *instance {
	for {
		ready := *f.ready.Load()
		if len(tried) > 0 {
			ready = slices.DeleteFunc(slices.Clone(ready), func(i *instance) bool { return slices.Contains(tried, i) })
		}
		if len(ready) == 0 {
			return nil
		}
		in := ready[rand.IntN(len(ready))]
		if len(ready) > 1 {
			if other := ready[rand.IntN(len(ready))]; other.open.Load() < in.open.Load() {
				in = other
			}
		}
		// Counted first, then looked at again: who marks it gone and afterwards
		// reads an open count of 0 knows that nobody can come any more (R5).
		in.open.Add(1)
		if !in.gone.Load() {
			if !in.asked.Load() { // read by all, and seldom written
				in.asked.Store(true)
			}
			return in
		}
		in.open.Add(-1)
	}
}

// setReady makes the endpoints the only ready ones. Guarded by Gateway.mu.
func (f *fleet) setReady(endpoints []Endpoint, connect func(Endpoint) upstream) {
	have := map[Endpoint]*instance{}
	for _, in := range *f.ready.Load() {
		have[in.Endpoint] = in
	}
	ready := make([]*instance, 0, len(endpoints))
	for _, e := range endpoints {
		if slices.ContainsFunc(ready, func(in *instance) bool { return in.Endpoint == e }) {
			continue
		}
		in := have[e]
		if in == nil {
			in = &instance{Endpoint: e, upstream: connect(e)}
			f.all = append(f.all, in)
		}
		delete(have, e)
		ready = append(ready, in)
	}
	f.ready.Store(&ready)
	for in := range maps.Values(have) {
		in.gone.Store(true)
		in.upstream.close()
	}
}

// sweep forgets instances that are gone and have nothing open, and reports
// whether the fleet as a whole is of no more use. Guarded by Gateway.mu.
func (f *fleet) sweep() (unused bool) {
	f.all = slices.DeleteFunc(f.all, func(in *instance) bool {
		if !in.gone.Load() || in.open.Load() > 0 {
			return false
		}
		in.upstream.close() // what came back to the pool after it was gone
		return true
	})
	return !f.listed && len(f.all) == 0 && f.open.count() == 0
}

// registry holds what is open on a fleet, so that it can be counted and cut.
type registry struct {
	shards [shards]struct {
		mu   sync.Mutex
		open map[*ticket]struct{}

		started, ended uint64 // since the gateway began
	}
}

func (r *registry) add(t *ticket) {
	s := &r.shards[t.shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*ticket]struct{}{}
	}
	s.open[t] = struct{}{}
	s.started++
}

func (r *registry) remove(t *ticket) {
	s := &r.shards[t.shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.open[t]; ok {
		delete(s.open, t)
		s.ended++
	}
}

// flow is how many there were, how many have ended, and how many are open: the first is
// the sum of the others.
func (r *registry) flow() (started, ended uint64, open int) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		started, ended, open = started+s.started, ended+s.ended, open+len(s.open)
		s.mu.Unlock()
	}
	return started, ended, open
}

func (r *registry) count() (n int) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		n += len(s.open)
		s.mu.Unlock()
	}
	return n
}

// list returns what is open now.
func (r *registry) list() (ts []*ticket) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		ts = slices.AppendSeq(ts, maps.Keys(s.open))
		s.mu.Unlock()
	}
	return ts
}
