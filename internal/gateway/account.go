package gateway

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"
)

// asked is what was asked, as far as routes are told apart; zero: an event.
type asked struct{ method, path string }

// routeNames are the routes of a workload that have accounts (R29). All its versions share
// them, so that they can be compared.
type routeNames struct {
	known atomic.Pointer[map[string]int]
	mu    sync.Mutex // of who adds one
}

const (
	otherAt = mostRoutes + iota // the place of otherRoute
	eventAt                     // and of eventRoute
	placesOfRoutes
)

// place is where the account of a route is. A route that no version knows gets none: what
// scanners guess must not take the places of those that are served.
func (n *routeNames) place(a asked, status int) int {
	if a.method == "" {
		return eventAt
	}
	var room [nameBytes + 64]byte
	name := appendRouteName(room[:0], a.method, a.path)
	if known := n.known.Load(); known != nil {
		if at, ok := (*known)[string(name)]; ok {
			return at
		}
	}
	if status >= 400 && status < 500 || status == 0 {
		return otherAt
	}
	return n.add(string(name))
}

func (n *routeNames) add(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	next := map[string]int{}
	if known := n.known.Load(); known != nil {
		if at, ok := (*known)[name]; ok {
			return at
		}
		if len(*known) == mostRoutes {
			return otherAt
		}
		next = maps.Clone(*known)
	}
	at := len(next)
	next[name] = at
	n.known.Store(&next)
	return at
}

// list returns the names by place.
func (n *routeNames) list() (names [placesOfRoutes]string) {
	names[otherAt], names[eventAt] = otherRoute, eventRoute
	if known := n.known.Load(); known != nil {
		for name, at := range *known {
			names[at] = name
		}
	}
	return names
}

// accounts are what a version was asked since the gateway began, by route. The windows of
// the same version hold the same requests, each in both or in none.
type accounts struct {
	names *routeNames
	at    [placesOfRoutes]atomic.Pointer[account]
}

// add counts one request or event, and returns its route's account.
func (as *accounts) add(a asked, o outcome) *account {
	at := &as.at[as.names.place(a, o.status)]
	acc := at.Load()
	if acc == nil {
		acc = &account{}
		if !at.CompareAndSwap(nil, acc) {
			acc = at.Load()
		}
	}
	acc.add(o)
	return acc
}

// octave is how many neighbouring buckets of latency are made at once: most routes use few.
const octave = 64

// account is what one version was asked by one route. All of a request is added under one
// lock, so that whoever reads sees whole requests.
type account struct {
	mu       sync.Mutex
	statuses [6]uint64 // by hundreds; 0: no head was sent
	aborted  uint64
	failures map[string]uint64 // by reason; nil until the first
	retries  uint64
	in, out  uint64 // bytes of bodies: from clients, from the version
	took     time.Duration
	latency  [analysis.Buckets / octave]*[octave]uint64
}

func (a *account) add(o outcome) {
	b := analysis.Bucket(o.latency)
	c := o.status / 100
	if c < 1 || c > 5 {
		c = 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.statuses[c]++
	if o.aborted {
		a.aborted++
	}
	if o.failed {
		if a.failures == nil {
			a.failures = map[string]uint64{}
		}
		a.failures[o.reason()]++
	}
	a.retries += uint64(o.retries)
	a.in += uint64(o.in)
	a.out += uint64(o.out)
	a.took += o.latency
	if a.latency[b/octave] == nil {
		a.latency[b/octave] = new([octave]uint64)
	}
	a.latency[b/octave][b%octave]++
}

// move adds bytes of a request that was counted at its head.
func (a *account) move(in, out int64) {
	if in == 0 && out == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.in += uint64(in)
	a.out += uint64(out)
}

// fault is why a version gave no whole answer.
type fault string

const (
	faultConnect fault = "connect" // none of its instances could be connected to
	faultTimeout fault = "timeout" // no head came in time
	faultBroken  fault = "broken"  // the connection ended, or what came was no answer
	faultBody    fault = "body"    // the answer broke off behind its head
	faultUnready fault = "unready" // none of its instances was ready
	faultRefused fault = "refused" // by the gateway: no version had to do with it
)

// reason is what a failed request is counted by: the fault, what the host of a function says
// of it, or that its version answered with 5xx.
func (o outcome) reason() string {
	switch {
	case o.fault != "":
		return string(o.fault)
	case o.called.failure.Reached():
		return "function-" + string(o.called.failure)
	}
	return "status"
}

// Account is what one version was asked by one route since the gateway began.
type Account struct {
	Key      rollout.Key
	Version  rollout.Version
	Route    string            // method and path (R29), or "other", or "event"
	Status   [6]uint64         // requests and events by hundreds of their status; 0: none was sent
	Aborted  uint64            // of them, left by the client
	Failures map[string]uint64 // of them, by reason
	Retries  uint64            // sent again, to the same instance or another
	In, Out  uint64            // bytes of bodies: from clients, from the version
	Took     time.Duration
	Latency  analysis.Histogram
	Requests uint64 // the sum of Status, and of Latency
}

// Flow is how many requests, events and previews a version was given since the gateway
// began: Started = Ended + InFlight.
type Flow struct {
	Key      rollout.Key
	Version  rollout.Version
	Weight   rollout.Weight
	Started  uint64
	Ended    uint64
	InFlight int
	Observed Observed // of which the counts since the gateway began are set
}

func (a *account) read() (out Account) {
	a.mu.Lock()
	defer a.mu.Unlock()
	out.Status, out.Aborted, out.Failures = a.statuses, a.aborted, maps.Clone(a.failures)
	out.Retries, out.In, out.Out, out.Took = a.retries, a.in, a.out, a.took
	for i, o := range a.latency {
		if o == nil {
			continue
		}
		for j, n := range o {
			if n > 0 {
				out.Latency.Bucket = append(out.Latency.Bucket, uint16(i*octave+j))
				out.Latency.Count = append(out.Latency.Count, n)
			}
		}
	}
	for _, n := range out.Status {
		out.Requests += n
	}
	return out
}

// Accounts returns what every version that is known was asked, by workload, version and
// route. A version that nothing names for a minute is forgotten, with its accounts.
func (g *Gateway) Accounts() (all []Account, flows []Flow) {
	for _, f := range g.inOrder() {
		flow := Flow{Key: f.key, Version: f.version, Weight: f.share, Observed: f.totals.observed(f.version)}
		flow.Started, flow.Ended, flow.InFlight = f.open.flow()
		flows = append(flows, flow)
		names := f.accounts.names.list()
		first := len(all)
		for i := range f.accounts.at {
			if acc := f.accounts.at[i].Load(); acc != nil {
				a := acc.read()
				a.Key, a.Version, a.Route = f.key, f.version, names[i]
				all = append(all, a)
			}
		}
		slices.SortFunc(all[first:], func(a, b Account) int { return strings.Compare(a.Route, b.Route) })
	}
	return all, flows
}
