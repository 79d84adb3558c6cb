package gateway

import (
	"math"
	"slices"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// Shares is how a workload's requests and events were split in fact (R15).
type Shares struct {
	Since    time.Time  `json:"since"` // when the weights last changed
	Requests uint64     `json:"requests"`
	Versions []Observed `json:"versions"` // ascending
	// Off is set when the observed shares have left a bound that a right split
	// leaves once in a million times, however often it is looked at.
	Off bool `json:"off,omitempty"`
}

// Observed is one version's part of a workload's requests.
type Observed struct {
	Version rollout.Version `json:"version"`
	Asked   rollout.Weight  `json:"asked"`
	Drawn   uint64          `json:"drawn"` // freely, since Shares.Since
	Open    int             `json:"open"`

	// Since the gateway began, beside the windows:
	FailedOver uint64 `json:"failed_over,omitempty"` // drawn on it, answered by another version: it had nothing ready (R5)
	Unready    uint64 `json:"unready,omitempty"`     // drawn on it, refused with 503: no version had
	Previewed  uint64 `json:"previewed,omitempty"`   // reached it by preview address or header, or by an event that was for it
	Matched    uint64 `json:"matched,omitempty"`     // sent to it by a match rule, not drawn
	Drained    uint64 `json:"drained,omitempty"`     // streams closed because it lost its traffic (R17)
	Cut        uint64 `json:"cut,omitempty"`         // requests that outlived its drain (R17)
	Broken     uint64 `json:"broken,omitempty"`      // streams that it broke after they had been counted

	// Of a candidate (R25):
	Shielded uint64     `json:"shielded,omitempty"` // failures that stable answered in its place
	Served   Unshielded `json:"served,omitzero"`    // failures that clients saw
}

// Unshielded counts failures of a candidate that clients saw, by why stable did not answer
// instead.
type Unshielded = world.Unshielded

// unshielded counts what was served.
func (t *totals) unshielded() Unshielded {
	return Unshielded{
		Sent: t.served[headSent].Load(), Status: t.served[byAnswer].Load(), Method: t.served[byMethod].Load(),
		Body: t.served[byBody].Load(), Budget: t.served[byBudget].Load(), Stable: t.served[byStable].Load(),
	}
}

// Share returns how a workload's requests were split since its weights last
// changed; ok is false for a workload that the table does not name. It lists the
// versions without traffic too.
func (g *Gateway) Share(k rollout.Key) (s Shares, ok bool) {
	l := g.table.Load().lanes[k]
	if l == nil {
		return s, false
	}
	for v, f := range l.versions {
		o := f.totals.observed(v)
		o.Open = f.open.count()
		s.Versions = append(s.Versions, o)
	}
	slices.SortFunc(s.Versions, func(a, b Observed) int { return int(a.Version - b.Version) })
	sp := l.current()
	if sp == nil {
		return s, true
	}
	s.Since = sp.since
	for i, sh := range sp.shares {
		at := slices.IndexFunc(s.Versions, func(o Observed) bool { return o.Version == sh.Version })
		o := &s.Versions[at]
		o.Asked, o.Drawn = sh.Weight, sp.drawn[i].sum()
		s.Requests += o.Drawn
	}
	for _, o := range s.Versions {
		s.Off = s.Off || off(o.Drawn, s.Requests, o.Asked, len(s.Versions))
	}
	return s, true
}

// observed is what was counted beside the windows.
func (t *totals) observed(v rollout.Version) Observed {
	return Observed{
		Version: v, FailedOver: t.failedOver.Load(), Unready: t.unready.Load(), Previewed: t.previewed.Load(),
		Matched: t.matched.Load(), Drained: t.drained.Load(), Cut: t.cut.Load(), Broken: t.broken.Load(),
		Shielded: t.shielded.Load(), Served: t.unshielded(),
	}
}

// off reports whether k of n draws are so far from weight w that a right split
// shows it, at any time of one rollout, with a probability of at most 10⁻⁶ for
// all of its versions together.
//
// It is Ville's inequality on a mixture of binomial likelihoods with a uniform
// prior: ∫ p^k (1-p)^(n-k) dp / (w^k (1-w)^(n-k)) is a martingale of mean 1 when
// w is the truth (Robbins, Ann. Math. Stat. 41, 1970).
func off(k, n uint64, w rollout.Weight, versions int) bool {
	miss := n - k
	if w == 0 || w == rollout.Full {
		return w == 0 && k > 0 || w == rollout.Full && miss > 0
	}
	p := float64(w) / float64(rollout.Full)
	ln := lnFactorial(k) + lnFactorial(miss) - lnFactorial(n+1) - float64(k)*math.Log(p) - float64(miss)*math.Log1p(-p)
	return ln > math.Log(1e6*float64(max(versions, 1)))
}

func lnFactorial(n uint64) float64 {
	ln, _ := math.Lgamma(float64(n) + 1)
	return ln
}
