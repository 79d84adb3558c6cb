package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// The errors of a book that are answers.
var (
	ErrUnknown = errors.New("there is no such pickup")
	ErrNotYet  = errors.New("no version of the ledger takes requests yet")
	ErrState   = errors.New("the pickup is in another state")
	ErrOther   = errors.New("the request's name was used for something else")
	ErrInvalid = errors.New("the entry is not complete")
)

// book is what follows from the entries. It is not safe for use by several.
type book struct {
	entries  []Entry
	requests map[string]int // index in entries
	pickups  map[string]*Pickup
	order    []string // of pickups, as they came
	summary  Summary
}

func newBook() *book {
	return &book{
		requests: map[string]int{}, pickups: map[string]*Pickup{},
		summary: Summary{
			States: map[State]int{}, Kinds: map[Kind]int{}, Sums: map[Kind]int64{}, Told: map[string]int{}, Reports: map[string]int{},
			Drivers: map[string]int{}, Sites: map[string]int{}, Latest: map[string]Note{},
		},
	}
}

// check decides about an entry. again is the one that the request has already.
func (b *book) check(e Entry) (again *Entry, err error) {
	if e.Request == "" || e.Kind == "" || e.Amount < 0 || e.State != "" && e.Pickup == "" {
		return nil, ErrInvalid
	}
	if i, ok := b.requests[e.Request]; ok {
		if !b.entries[i].same(e) {
			return nil, fmt.Errorf("%w: %s", ErrOther, e.Request)
		}
		b.summary.Repeated++
		return &b.entries[i], nil
	}
	if e.Pickup == "" {
		return nil, nil
	}
	p := b.pickups[e.Pickup]
	switch {
	case p == nil && e.State != Accepted:
		return nil, fmt.Errorf("%w: %s", ErrUnknown, e.Pickup)
	case p != nil && e.State == Accepted:
		return nil, fmt.Errorf("%w: %s was accepted before", ErrState, e.Pickup)
	case p != nil && e.State != "" && p.State.Over():
		return nil, fmt.Errorf("%w: %s is %s", ErrState, e.Pickup, p.State)
	case p != nil && len(e.From) > 0 && !slices.Contains(e.From, p.State):
		return nil, fmt.Errorf("%w: %s is %s", ErrState, e.Pickup, p.State)
	case p != nil && p.Settled && settles(e.Kind):
		return nil, fmt.Errorf("%w: %s is settled", ErrState, e.Pickup)
	}
	return nil, nil
}

func settles(k Kind) bool { return k == Capture || k == Refund || k == Lapse }

// add writes an entry that was checked.
func (b *book) add(e Entry) {
	b.requests[e.Request] = len(b.entries)
	b.entries = append(b.entries, e)
	s := &b.summary
	s.Entries++
	s.Kinds[e.Kind]++
	s.Sums[e.Kind] += e.Amount
	switch e.Kind {
	case Notice:
		s.Told[e.Note["channel"]]++
	case Report:
		s.Reports[e.Note["name"]]++
		s.Latest[e.Note["name"]] = e.Note
	case Delivery:
		s.Sites[e.Note["facility"]]++
	default: // they are counted above
	}
	if e.Pickup != "" {
		b.move(e)
	}
}

// move applies an entry to its pickup.
func (b *book) move(e Entry) {
	p := b.pickups[e.Pickup]
	if p == nil {
		p = &Pickup{ID: e.Pickup, Note: map[string]string{}}
		b.pickups[e.Pickup] = p
		b.order = append(b.order, e.Pickup)
	}
	p.At = e.At
	switch e.Kind {
	case Quote:
		p.Quoted += e.Amount
	case Capture:
		p.Captured, p.Settled = p.Captured+e.Amount, true
	case Refund:
		p.Refunded, p.Settled = p.Refunded+e.Amount, true
	case Lapse:
		p.Lapsed, p.Settled = p.Lapsed+e.Amount, true
	case Step, Delivery:
		maps.Copy(p.Note, e.Note)
	default: // nothing of the pickup's own
	}
	if e.State == "" {
		return
	}
	b.summary.States[p.State]--
	b.summary.States[e.State]++
	delete(b.summary.States, "")
	p.State = e.State
	p.Held = p.Held || e.State == Held
	if driver := p.Note["driver"]; driver != "" {
		if e.State == Assigned {
			b.summary.Drivers[driver]++
		} else if e.State.Over() {
			b.summary.Drivers[driver]--
		}
	}
	if e.State.Over() {
		p.Ends++
	}
}

// Query chooses pickups.
type Query struct {
	State     State     // empty: any
	Customer  string    // empty: any
	Before    time.Time // last entry not after; zero: any
	Unsettled bool      // at an end, and the money is not
	Limit     int
}

// find lists pickups, those that waited longest first.
func (b *book) find(q Query) []Pickup {
	var all []Pickup
	for _, id := range b.order {
		p := b.pickups[id]
		if q.State != "" && p.State != q.State || q.Customer != "" && p.Note["customer"] != q.Customer ||
			!q.Before.IsZero() && p.At.After(q.Before) || q.Unsettled && (p.Settled || !p.State.Over()) {
			continue
		}
		all = append(all, p.copy())
	}
	slices.SortStableFunc(all, func(x, y Pickup) int { return x.At.Compare(y.At) })
	return all[:min(len(all), cmp.Or(q.Limit, 100))]
}

func (p *Pickup) copy() Pickup {
	c := *p
	c.Note = maps.Clone(p.Note)
	return c
}

// figures is a summary that nobody else changes.
func (b *book) figures() Summary {
	s := b.summary
	s.Pickups = len(b.pickups)
	s.States, s.Kinds, s.Sums, s.Told = maps.Clone(s.States), maps.Clone(s.Kinds), maps.Clone(s.Sums), maps.Clone(s.Told)
	s.Reports, s.Drivers, s.Sites, s.Latest = maps.Clone(s.Reports), maps.Clone(s.Drivers), maps.Clone(s.Sites), maps.Clone(s.Latest)
	if n := len(b.entries); n > 0 {
		last := b.entries[n-1]
		s.Last = &last
	}
	return s
}
