package gateway

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"titrate/internal/rollout"
)

// arrival is a request as far as routing is concerned. Each front makes one.
type arrival struct {
	internal bool       // came in by the listener for calls between workloads
	local    netip.Addr // internal: the address that the client connected to
	method   string
	host     string // the Host header
	path     string // decoded
	raw      string // escaped; empty where decoding has lost nothing
	wants    string // the method that a CORS preflight asks for
	version  string // header Titrate-Version
	token    string // header Titrate-Preview
	head     head   // the rest; nil: nothing is known of it
	secure   bool   // came over TLS
	link     string // token in the address or its cookie; for preview hosts only
}

// refusal is a request that reaches no instance, and the answer it gets.
type refusal struct {
	status   int
	reason   string
	location string        // of a redirect
	page     string        // HTML, in place of the reason
	closed   bool          // on purpose: retry says for how long
	retry    time.Duration // 0: nothing is known of it
}

var (
	refuseHost     = &refusal{status: http.StatusBadRequest, reason: "the Host header names no host"}
	refuseRoute    = &refusal{status: http.StatusNotFound, reason: "no workload is routed here"}
	refuseInternal = &refusal{status: http.StatusNotFound, reason: "no workload has this internal address"}
	refuseToken    = &refusal{status: http.StatusForbidden, reason: "the preview token is missing, forged or expired"}
	refuseVersion  = &refusal{status: http.StatusNotFound, reason: "this version is not kept any more"}
	refuseSplit    = &refusal{status: http.StatusServiceUnavailable, reason: "no version of this workload takes traffic yet"}
	refuseReady    = &refusal{status: http.StatusServiceUnavailable, reason: "no instance is ready"}
	refuseEmpty    = &refusal{status: http.StatusServiceUnavailable, reason: "the gateway has no routing table yet"}
	refuseFull     = &refusal{status: http.StatusServiceUnavailable, reason: "too many requests are under way"}
)

// errCut ends what outlives its version's drain.
var errCut = errors.New("the version it was on has drained")

// ticket is a request's claim on one ready instance, from admission to its end.
// It is used by the goroutine of its request; only cut may come from elsewhere.
type ticket struct {
	gateway *Gateway
	lane    *lane
	fleet   *fleet
	split   *split // by which it was drawn
	share   int    // of split, that was drawn
	shard   int
	route   *route
	asked   asked
	jitter  float64

	instance *instance
	tried    []*instance // could not be connected to

	cancel  context.CancelCauseFunc // ends the request from any goroutine
	ended   atomic.Bool             // cut
	stream  atomic.Bool             // lives long: counted at its head, closed while its version drains
	preview bool                    // neither drawn nor counted
	aimed   bool                    // a match has said which share: not drawn
	apart   bool                    // in no window
	counted bool

	standsIn bool       // it is stable's, for a candidate that has failed (R25): counted there
	cause    unshielded // of a candidate: why its failure is served
	harmed   bool       // that was counted

	account *account // that it was counted in
	in, out int64    // bytes that were counted
	retries int
}

// admit finds the workload, draws the version, and takes an instance of it. A
// request refused for want of a ready instance is counted: on the version that
// was drawn, as its failure. It comes with a ticket that says which, and is over.
func (g *Gateway) admit(a arrival) (*ticket, *refusal) {
	if g.inFlight.Add(1) > int64(g.cfg.MaxInFlight) {
		g.inFlight.Add(-1)
		return nil, refuseFull
	}
	s := g.table.Load()
	t, ref := g.place(a, s)
	for ref != nil {
		// What was ready by the old table may have gone since: then the new one
		// says where to.
		now := g.table.Load()
		if now == s {
			break
		}
		s = now
		t, ref = g.place(a, s)
	}
	if t != nil {
		t.asked = asked{a.method, a.path}
	}
	if ref != nil {
		if t != nil {
			t.unready(ref)
		}
		g.inFlight.Add(-1)
		return t, ref
	}
	return t, nil
}

// unready counts a request that was refused for want of a ready instance.
func (t *ticket) unready(ref *refusal) {
	t.fleet.totals.unready.Add(1)
	t.cause = byStable
	t.count(outcome{status: ref.status, failed: true, fault: faultUnready})
}

// place routes by one snapshot. A refusal comes with a ticket when a version was
// drawn and nothing was ready.
func (g *Gateway) place(a arrival, s *snapshot) (*ticket, *refusal) {
	w, ref := s.find(a, g.cfg)
	switch {
	case ref != nil:
		return nil, ref
	case w.version != 0:
		return g.preview(w, nil)
	}
	return g.draw(w, nil)
}

// preview takes an instance of the version that was asked for, beside those tried.
func (g *Gateway) preview(w way, tried []*instance) (*ticket, *refusal) {
	t := &ticket{gateway: g, lane: w.lane, route: w.route, shard: rand.IntN(shards), jitter: rand.Float64(), preview: true, tried: tried}
	if t.fleet = w.lane.versions[w.version]; t.fleet == nil {
		return nil, refuseVersion
	}
	if t.instance = t.fleet.acquire(tried); t.instance == nil {
		return nil, refuseReady
	}
	t.fleet.totals.previewed.Add(1)
	return t, nil
}

// draw draws a version of a workload, unless a match has said which, and takes an
// instance of it, beside those tried. When the damage budget is spent a match says nothing
// any more. A refusal comes with a ticket when a version was drawn and nothing was ready.
func (g *Gateway) draw(w way, tried []*instance) (*ticket, *refusal) {
	l := w.lane
	sp := l.current()
	if sp == nil {
		return nil, refuseSplit
	}
	t := &ticket{gateway: g, lane: l, split: sp, route: w.route, shard: rand.IntN(shards), jitter: rand.Float64(), tried: tried}
	if w.aimed && sp == l.split {
		t.aimed, t.apart, t.share = true, w.apart, w.share
		sp.fleets[t.share].totals.matched.Add(1)
	} else {
		t.share = sp.draw(t.shard)
	}
	return t, t.take()
}

// take takes an instance of the version that was drawn, or of one that stands in for
// it (R5), beside those tried.
func (t *ticket) take() *refusal {
	drawn := t.split.fleets[t.share]
	t.fleet = drawn
	if t.instance = drawn.acquire(t.tried); t.instance != nil {
		return nil
	}
	if t.fleet, t.instance = t.split.failOver(drawn, t.tried); t.instance != nil {
		drawn.totals.failedOver.Add(1)
		return nil
	}
	return refuseReady
}

// find says which lane an arrival is for, and which version when it asks for one
// and may.
func (s *snapshot) find(a arrival, cfg Config) (w way, ref *refusal) {
	if s.lanes == nil {
		return w, refuseEmpty
	}
	host, ok := hostName(a.host)
	if !ok {
		return w, refuseHost
	}
	if a.internal {
		if w.lane = s.internal[a.local]; w.lane == nil {
			return w, refuseInternal
		}
	} else {
		if _, named := s.routes.hosts[host]; !named {
			if k, v, ok := parsePreviewHost(host, cfg.PreviewDomain); ok {
				token := a.token
				if token == "" {
					token = a.link
				}
				return s.asked(k, v, token, cfg)
			}
		}
		if w.lane, w.route = s.routes.lookup(host, a); w.lane == nil {
			return w, refuseRoute
		}
	}
	if a.version == "" || a.token == "" { // the header alone asks for nothing: it is stripped
		if ref = w.instead(a); ref == nil {
			w.aim(a)
		}
		return w, ref
	}
	v, ok := parseVersion(a.version)
	if !ok {
		return w, refuseToken
	}
	route := w.route
	w, ref = s.asked(w.lane.key, v, a.token, cfg)
	w.route = route
	return w, ref
}

// asked lets in who may reach a version past the split.
func (s *snapshot) asked(k rollout.Key, v rollout.Version, token string, cfg Config) (way, *refusal) {
	if VerifyPreview(s.previewKey, k, v, token, cfg.Clock()) != nil {
		return way{}, refuseToken
	}
	l := s.lanes[k]
	if l == nil {
		return way{}, refuseVersion
	}
	return way{lane: l, version: v}, nil
}

// begin registers the request, so that it can be cut by cancel.
func (t *ticket) begin(cancel context.CancelCauseFunc) {
	t.cancel = cancel
	t.fleet.open.add(t)
}

// next takes another ready instance of the same version, after the present one
// could not be connected to and so has seen nothing of the request. It is false
// when there is none.
func (t *ticket) next() bool {
	t.tried = append(t.tried, t.instance)
	in := t.fleet.acquire(t.tried)
	if in == nil {
		return false
	}
	t.retries++
	t.instance.open.Add(-1)
	t.instance = in
	return true
}

// count adds the outcome of a request that a client is answered to the version's account,
// once; later calls do nothing.
func (t *ticket) count(o outcome) {
	if t.counted || t.preview || t.standsIn {
		return
	}
	t.tally(o)
	if o.failed {
		t.harm()
	}
}

// tally is count of what no client is answered.
func (t *ticket) tally(o outcome) {
	if t.counted || t.preview || t.standsIn {
		return
	}
	if d := t.lane.damage; d != nil && t.onTrial() {
		d.given[t.shard].n.Add(1)
	}
	t.counted = true
	o.retries = t.retries
	if !t.apart {
		t.fleet.meter.add(t.shard, o)
	}
	t.account, t.in, t.out = t.fleet.accounts.add(t.asked, o), o.in, o.out
}

// moved adds the bytes that came after the request was counted: o has all.
func (t *ticket) moved(o outcome) {
	if t.account != nil {
		t.account.move(o.in-t.in, o.out-t.out)
		t.in, t.out = o.in, o.out
	}
}

// finish gives everything back. The outcome must have been counted before.
func (t *ticket) finish() {
	t.leave()
	t.gateway.inFlight.Add(-1)
}

// leave gives up the instance, if there is one.
func (t *ticket) leave() {
	if t.instance == nil {
		return
	}
	t.instance.open.Add(-1)
	t.instance = nil
	t.fleet.open.remove(t)
}

// cut ends the request from outside.
func (t *ticket) cut() {
	if t.ended.Swap(true) {
		return
	}
	if t.stream.Load() {
		t.fleet.totals.drained.Add(1)
	} else {
		t.fleet.totals.cut.Add(1)
	}
	t.cancel(errCut)
}

// parseVersion reads "v17": one to nine digits, the first not 0.
func parseVersion(s string) (rollout.Version, bool) {
	if len(s) < 2 || len(s) > 10 || s[0] != 'v' || s[1] == '0' {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s[1:]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return rollout.Version(n), true
}
