package gateway

import (
	"math/rand/v2"
	"strings"

	"titrate/internal/rollout"
)

// way is where an arrival leads.
type way struct {
	lane    *lane
	version rollout.Version // that is asked for; 0: it is drawn
	route   *route          // that was taken; nil: one that does nothing but lead there
	aimed   bool            // a match has said which share
	share   int             // of the lane's split
	apart   bool            // in no window
}

// matches are what sends some of a workload's requests to the version that is tried
// (R16), while that and the stable one have traffic.
type matches struct {
	rules         []rollout.Match
	seed          uint64
	tried, stable int // shares of the split
}

// matchesOf compiles a workload's rules; nil: nothing is to be decided.
func matchesOf(w Workload, l *lane) *matches {
	if len(w.Match) == 0 || l.split == nil || l.stable == 0 {
		return nil
	}
	m := &matches{rules: w.Match, seed: hash(fnvBasis, w.Key.String()), tried: -1, stable: -1}
	for i, s := range l.split.shares {
		switch {
		case s.Weight == 0:
		case s.Version == l.stable:
			m.stable = i
		case m.tried >= 0:
			return nil // two are tried: whose it would be is not said
		default:
			m.tried = i
		}
	}
	if m.tried < 0 || m.stable < 0 {
		return nil
	}
	return m
}

// aim lets the first rule that the arrival meets say which version has it.
func (w *way) aim(a arrival) {
	m := w.lane.matches
	if m == nil || a.head == nil {
		return
	}
	for i := range m.rules {
		r := &m.rules[i]
		value, ok := carried(r, a.head)
		if !ok || r.Value != "" && value != r.Value {
			continue
		}
		w.aimed, w.apart, w.share = true, r.Apart, m.stable
		bucket := uint64(rand.IntN(int(rollout.Full)))
		if r.Value == "" {
			bucket = mix(hash(m.seed, value)) % uint64(rollout.Full)
		}
		if bucket < uint64(r.Share) {
			w.share = m.tried
		}
		return
	}
}

// carried is what a request carries of a rule's name.
func carried(r *rollout.Match, h head) (value string, ok bool) {
	if r.Cookie != "" {
		value = cookieValue(h.values("cookie"), r.Cookie)
		return value, value != ""
	}
	lines := h.values(r.Header)
	return strings.Join(lines, ", "), len(lines) > 0
}

// hash is FNV-1a: a value has the same bucket in every process, so that nobody is moved
// by a restart.
func hash(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return h
}

const fnvBasis = 0xcbf29ce484222325

// mix spreads what differs in a few bits over all of them (the last step of MurmurHash3).
func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
