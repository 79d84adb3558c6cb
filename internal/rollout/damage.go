package rollout

import (
	"fmt"
	"strconv"
	"time"
)

// Damage bounds how many failed requests one attempt of a rollout may have served (R26).
// The zero value bounds nothing.
type Damage struct {
	Requests uint64 `json:"requests,omitempty"`
	// Share of the requests that the candidates were given, but at least
	// [LeastDamage] requests.
	Share Weight `json:"share,omitempty"`
}

// LeastDamage is how many failures a share allows at least: with fewer requests it says
// nothing.
const LeastDamage = 10

// Bounds reports whether there is a bound.
func (d Damage) Bounds() bool { return d.Requests > 0 || d.Share > 0 }

// Spent reports whether so many failures spend it; given says how many requests the
// candidates have had.
func (d Damage) Spent(failures uint64, given func() uint64) bool {
	if d.Requests > 0 && failures >= d.Requests {
		return true
	}
	return d.Share > 0 && failures >= max(LeastDamage, given()*uint64(d.Share)/uint64(Full))
}

// Stricter returns both bounds in one: whichever is spent first.
func (d Damage) Stricter(o Damage) Damage {
	if d.Requests == 0 || o.Requests > 0 && o.Requests < d.Requests {
		d.Requests = o.Requests
	}
	if d.Share == 0 || o.Share > 0 && o.Share < d.Share {
		d.Share = o.Share
	}
	return d
}

// String is the bound as a manifest has it.
func (d Damage) String() string {
	switch {
	case d.Requests > 0 && d.Share > 0:
		return requests(d.Requests) + " or " + d.Share.String()
	case d.Requests > 0:
		return requests(d.Requests)
	case d.Share > 0:
		return d.Share.String()
	}
	return "none"
}

// Cut is what a gateway did by itself when a damage budget was spent.
type Cut struct {
	At     time.Time `json:"at"`
	Served uint64    `json:"served"` // failures
}

// damageFaults reports that the gateway has taken the traffic already: whatever is asked
// for, this attempt gets none any more (R26). Nobody can waive it.
func (l *look) damageFaults(yield func(fault) bool) bool {
	if l.seen.Cut == nil {
		return true
	}
	return yield(fault{
		cause: "damage", member: -1,
		why: fmt.Sprintf("the damage budget (%s) is spent: %s failed for users, and the gateway sent all traffic back to stable at %s",
			l.plan.Damage, requests(l.seen.Cut.Served), l.seen.Cut.At.UTC().Format("15:04:05 UTC")),
	})
}

func requests(n uint64) string {
	if n == 1 {
		return "1 request"
	}
	return strconv.FormatUint(n, 10) + " requests"
}
