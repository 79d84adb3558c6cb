package gateway

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// HeaderShielded says, of a response, that stable has answered what a candidate failed
// (R25).
const HeaderShielded = "Titrate-Shielded"

// shieldedBody is how long a request's body may be that stable can be given after a
// candidate: longer ones are not kept.
const shieldedBody = 64 << 10

// unshielded is why a failure of a candidate was served.
type unshielded uint8

const (
	headSent    unshielded = iota // the client had the head, or more, of the answer
	byAnswer                      // its status is none of those that are shielded
	byMethod                      // the request may not be sent twice (RFC 9110, 9.2.2)
	byBody                        // it is not kept
	byBudget                      // R25: so many were shielded lately
	byStable                      // nothing of stable was ready
	unshieldeds                   // how many there are
)

// shieldsMethod reports whether a request may be answered by stable after a candidate has
// had it: it is safe, idempotent, or has a key by which it is known again.
func shieldsMethod(method string, keyed bool) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return keyed
}

// shields reports whether an answer with this status is taken for a failure that stable
// should answer in place of.
func (l *lane) shields(status int) bool {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	case http.StatusInternalServerError:
		return l.shields500
	}
	return false
}

// onTrial reports whether the request was drawn on a candidate: a version beside which
// there is a stable one.
func (t *ticket) onTrial() bool {
	return !t.preview && !t.standsIn && t.lane.stable != 0 && t.fleet.version != t.lane.stable
}

// failure is how a candidate has failed a request of which the client has no head yet.
type failure struct {
	outcome
	broke bool // it gave no answer
	safe  bool // the request may be sent again
	kept  bool // with all of its body
}

// shield counts the failure of a candidate, and returns the ticket by which stable
// answers instead. Nil: the failure is to be served, and the ticket knows why. It is
// called before anything of the failure was counted.
func (t *ticket) shield(f failure) *ticket {
	if !t.onTrial() {
		return nil
	}
	l := t.lane
	stable := l.versions[l.stable]
	switch {
	case !f.broke && !l.shields(f.status):
		t.cause = byAnswer
	case !f.safe:
		t.cause = byMethod
	case !f.kept:
		t.cause = byBody
	case stable == nil:
		t.cause = byStable
	default:
		return t.standIn(f, stable)
	}
	return nil
}

func (t *ticket) standIn(f failure, stable *fleet) *ticket {
	in := stable.acquire(nil)
	if in == nil {
		t.cause = byStable
		return nil
	}
	if !t.lane.budget.take(t.gateway.cfg.Clock(), t.lane.drawn()) {
		in.open.Add(-1)
		t.cause = byBudget
		return nil
	}
	if t.ended.Swap(true) { // from here on nobody cuts it; it was cut already
		in.open.Add(-1)
		return nil
	}
	f.failed = true
	t.tally(f.outcome)
	t.fleet.totals.shielded.Add(1)
	next := &ticket{gateway: t.gateway, lane: t.lane, split: t.split, route: t.route, share: t.share, shard: t.shard, jitter: t.jitter, fleet: stable, instance: in, standsIn: true, asked: t.asked, retries: t.retries}
	t.leave()
	return next
}

// harm notes that a failure of a candidate was served.
func (t *ticket) harm() {
	if t.harmed || !t.onTrial() {
		return
	}
	t.harmed = true
	t.fleet.totals.served[t.cause].Add(1)
	if d := t.lane.damage; d != nil {
		d.note()
	}
}

// drawn is how many requests were drawn on the workload, whatever its weights were.
func (l *lane) drawn() uint64 {
	n := l.budget.before.Load()
	for _, s := range []*split{l.split, l.toStable} {
		if s == nil {
			continue
		}
		for i := range s.drawn {
			n += s.drawn[i].sum()
		}
	}
	return n
}

// budget bounds how many failures of a workload are shielded: a fifth of its requests over
// ten seconds, and at least ten. It goes on when the weights change.
type budget struct {
	before atomic.Uint64 // requests that were drawn by splits that are no more

	mu   sync.Mutex
	ring [shieldSeconds]struct {
		second          int64
		drawn, shielded uint64 // when the second began; in it
	}
}

const (
	shieldSeconds = 10
	shieldShare   = 5 // one of so many
	shieldLeast   = 10
)

// take takes one from the budget; drawn is how many requests there were until now.
func (b *budget) take(now time.Time, drawn uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.at(now.Unix(), drawn)
	since, spent := drawn, uint64(0)
	for i := range b.ring {
		if s := &b.ring[i]; s.second > now.Unix()-shieldSeconds && s.second <= now.Unix() {
			since, spent = min(since, s.drawn), spent+s.shielded
		}
	}
	if spent >= max(shieldLeast, (drawn-since)/shieldShare) {
		return false
	}
	b.ring[at].shielded++
	return true
}

// sample notes how many requests there were until now.
func (b *budget) sample(now time.Time, drawn uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at(now.Unix(), drawn)
}

// at is the place of a second, emptied of the one that had it before. Guarded by mu.
func (b *budget) at(second int64, drawn uint64) int {
	i := int(second % shieldSeconds)
	if s := &b.ring[i]; s.second != second {
		s.second, s.drawn, s.shielded = second, drawn, 0
	}
	return i
}
