package load

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"titrate/examples/collect/internal/ledger"
)

// CheckConfig says where to look.
type CheckConfig struct {
	URL      string // of the ledger, or of a gateway that routes /ledger to it
	Host     string // sent as the Host header where it is not empty
	Patience time.Duration
	Fresh    bool // the book began with this run: every pickup there is must be one of its
}

// Verdict is what the check found.
type Verdict struct {
	OK        bool          `json:"ok"`
	Problems  []string      `json:"problems,omitempty"` // sentences; the first 100
	Pickups   int           `json:"pickups"`
	Collected int           `json:"collected"`
	Failed    int           `json:"failed"`
	Cancelled int           `json:"cancelled"`
	Open      int           `json:"open"`     // came to no end in time, or their money did not
	Entries   int           `json:"entries"`  // each of another request
	Repeated  int64         `json:"repeated"` // requests that came again, and had no second effect
	Quoted    int64         `json:"quoted"`   // fils
	Captured  int64         `json:"captured"`
	Refunded  int64         `json:"refunded"`
	Lapsed    int64         `json:"lapsed"`
	Took      time.Duration `json:"took"`
}

// Check waits until every pickup has come to its end, for at most Patience (0: 30 s), and
// then goes through the whole book by itself: each request has one entry, each pickup one
// end and nothing after it, and of each quote all is captured, or refunded, or lapsed. What
// the load was told must be there. The error says that it could not look; what it sees is
// in the verdict.
func Check(ctx context.Context, r *Report, c CheckConfig) (Verdict, error) {
	began := time.Now()
	if c.Patience == 0 {
		c.Patience = 30 * time.Second
	}
	client := &http.Client{Timeout: 15 * time.Second}
	defer client.CloseIdleConnections()
	k := &checker{CheckConfig: c, book: ledger.Client{URL: c.URL, Host: c.Host, HTTP: client}, requests: map[string]int64{}, pickups: map[string]*life{}}
	if err := k.settled(ctx); err != nil {
		return k.verdict, err
	}
	for after := int64(0); ; {
		page, err := k.book.Entries(ctx, after)
		if err != nil {
			return k.verdict, err
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			k.entry(e, after+1)
			after = e.Seq
		}
	}
	k.lives()
	k.keys(r)
	k.verdict.OK = len(k.verdict.Problems) == 0
	k.verdict.Took = time.Since(began)
	return k.verdict, nil
}

// checker collects what is wrong.
type checker struct {
	CheckConfig
	book     ledger.Client
	verdict  Verdict
	requests map[string]int64 // entry by request
	pickups  map[string]*life
}

// life is what the entries of one pickup say.
type life struct {
	state                              ledger.State
	key                                string
	ends, settled                      int
	quoted, captured, refunded, lapsed int64
}

func (k *checker) problem(format string, args ...any) {
	if len(k.verdict.Problems) < 100 {
		k.verdict.Problems = append(k.verdict.Problems, fmt.Sprintf(format, args...))
	}
}

// settled waits until nothing is under way any more.
func (k *checker) settled(ctx context.Context) error {
	deadline := time.Now().Add(k.Patience)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := k.book.Summary(ctx)
		if err != nil {
			return err
		}
		open := 0
		for _, state := range ledger.Open() {
			open += s.States[state]
		}
		unsettled := s.Pickups - s.Kinds[ledger.Capture] - s.Kinds[ledger.Refund] - s.Kinds[ledger.Lapse]
		k.verdict.Repeated, k.verdict.Open = s.Repeated, max(open, unsettled)
		if k.verdict.Open <= 0 {
			return nil
		}
		if time.Now().After(deadline) {
			k.problem("%d pickups came to no end in %s, and the money of %d was not settled", open, k.Patience, unsettled)
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// entry goes on by one.
func (k *checker) entry(e ledger.Entry, seq int64) {
	k.verdict.Entries++
	if e.Seq != seq {
		k.problem("entry %d follows %d", e.Seq, seq-1)
	}
	if first, ok := k.requests[e.Request]; ok {
		k.problem("request %s was handled twice: in the entries %d and %d", e.Request, first, e.Seq)
	}
	k.requests[e.Request] = e.Seq
	if e.Pickup == "" {
		return
	}
	l := k.pickups[e.Pickup]
	if l == nil {
		l = &life{}
		k.pickups[e.Pickup] = l
		if e.State != ledger.Accepted {
			k.problem("pickup %s begins with %s", e.Pickup, e.State)
		}
		l.key = strings.TrimPrefix(e.Request, "key:")
	}
	switch e.Kind {
	case ledger.Quote:
		l.quoted += e.Amount
	case ledger.Capture:
		l.captured, l.settled = l.captured+e.Amount, l.settled+1
	case ledger.Refund:
		l.refunded, l.settled = l.refunded+e.Amount, l.settled+1
	case ledger.Lapse:
		l.lapsed, l.settled = l.lapsed+e.Amount, l.settled+1
	default: // no money
	}
	if e.State == "" {
		return
	}
	if len(e.From) > 0 && !slices.Contains(e.From, l.state) {
		k.problem("pickup %s went from %s to %s", e.Pickup, l.state, e.State)
	}
	if l.state.Over() {
		k.problem("pickup %s was %s, and is %s then", e.Pickup, l.state, e.State)
	}
	l.state = e.State
	if e.State.Over() {
		l.ends++
	}
}

// lives adds everything up.
func (k *checker) lives() {
	v := &k.verdict
	for id, l := range k.pickups {
		v.Pickups++
		v.Quoted, v.Captured, v.Refunded, v.Lapsed = v.Quoted+l.quoted, v.Captured+l.captured, v.Refunded+l.refunded, v.Lapsed+l.lapsed
		switch l.state {
		case ledger.Collected:
			v.Collected++
		case ledger.Failed:
			v.Failed++
		case ledger.Cancelled:
			v.Cancelled++
		default:
			k.problem("pickup %s has no end: it is %s", id, l.state)
			continue
		}
		switch {
		case l.ends != 1:
			k.problem("pickup %s has %d ends", id, l.ends)
		case l.settled != 1:
			k.problem("the money of pickup %s, which is %s, was settled %d times", id, l.state, l.settled)
		case l.quoted != l.captured+l.refunded+l.lapsed:
			k.problem("pickup %s was quoted %d: %d captured, %d refunded, %d lapsed", id, l.quoted, l.captured, l.refunded, l.lapsed)
		case (l.state == ledger.Collected) != (l.captured > 0):
			k.problem("pickup %s is %s, and %d were captured", id, l.state, l.captured)
		}
	}
	if v.Quoted != v.Captured+v.Refunded+v.Lapsed {
		k.problem("quoted %d, but captured %d, refunded %d and lapsed %d", v.Quoted, v.Captured, v.Refunded, v.Lapsed)
	}
}

// keys checks that each key has one pickup, the one its customer was told.
func (k *checker) keys(r *Report) {
	byKey := map[string]string{}
	for id, l := range k.pickups {
		if other, ok := byKey[l.key]; ok {
			k.problem("key %s has two pickups: %s and %s", l.key, other, id)
		}
		byKey[l.key] = id
	}
	if r == nil {
		return
	}
	for _, key := range r.Doubled {
		k.problem("key %s was answered with two different pickups", key)
	}
	for key, id := range r.Pickups {
		if byKey[key] != id {
			k.problem("pickup %s was accepted under %s, but there is %q", id, key, byKey[key])
		}
	}
	if !k.Fresh {
		return
	}
	for key, id := range byKey {
		if r.Pickups[key] == "" && !slices.Contains(r.Unsure, key) {
			k.problem("pickup %s is of a key that nobody sent: %s", id, key)
		}
	}
}
