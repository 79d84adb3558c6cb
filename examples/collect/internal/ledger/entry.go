// Package ledger is the book of the service: what happened to each pickup, in order,
// every request once. It is an append-only file, what follows from it in memory, an
// HTTP API in front, and the client of that.
package ledger

import (
	"maps"
	"slices"
	"time"
)

// State is where a pickup is.
type State string

// The states, in the order of a pickup's life. The last three are its ends.
const (
	Accepted  State = "accepted"
	Quoted    State = "quoted"
	Held      State = "held" // the money is held on the card
	Scheduled State = "scheduled"
	Assigned  State = "assigned" // a driver has it
	Collected State = "collected"
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// States lists them.
func States() []State {
	return []State{Accepted, Quoted, Held, Scheduled, Assigned, Collected, Failed, Cancelled}
}

// Over reports whether a pickup has come to its end.
func (s State) Over() bool { return s == Collected || s == Failed || s == Cancelled }

// Open lists the states that are no end.
func Open() []State {
	return slices.DeleteFunc(States(), State.Over)
}

// Kind is what an entry says about money, or that it says nothing about it.
type Kind string

// The kinds. Of each pickup's quote all is captured, or all refunded, or all lapsed.
const (
	Step     Kind = "step"     // a new state, and no money
	Quote    Kind = "quote"    // what the pickup costs
	Capture  Kind = "capture"  // was held, and is kept
	Refund   Kind = "refund"   // was held, and is given back
	Lapse    Kind = "lapse"    // was never held
	Delivery Kind = "delivery" // the items have come to a facility
	Notice   Kind = "notice"   // somebody was told
	Report   Kind = "report"   // figures of a day, an hour …
)

// Entry is one line of the book. Request names the request that it answers: a second
// entry of a request is never written.
type Entry struct {
	Seq     int64             `json:"seq"`
	At      time.Time         `json:"at"`
	Request string            `json:"request"`
	Kind    Kind              `json:"kind"`
	Pickup  string            `json:"pickup,omitempty"`
	From    []State           `json:"from,omitempty"`   // the pickup must be in one of them; empty: in any
	State   State             `json:"state,omitempty"`  // in which the pickup is then; empty: as before
	Amount  int64             `json:"amount,omitempty"` // fils
	Note    map[string]string `json:"note,omitempty"`
}

// same reports whether two entries ask for the same thing.
func (e Entry) same(other Entry) bool {
	return e.Kind == other.Kind && e.Pickup == other.Pickup && e.State == other.State && e.Amount == other.Amount && maps.Equal(e.Note, other.Note)
}

// Pickup is what the book says about one.
type Pickup struct {
	ID       string            `json:"id"`
	State    State             `json:"state"`
	At       time.Time         `json:"at"` // of its last entry
	Held     bool              `json:"held"`
	Quoted   int64             `json:"quoted"`
	Captured int64             `json:"captured"`
	Refunded int64             `json:"refunded"`
	Lapsed   int64             `json:"lapsed"`
	Settled  bool              `json:"settled"` // captured, refunded or lapsed
	Note     map[string]string `json:"note"`    // of all its steps
	Ends     int               `json:"ends"`    // entries that brought it to an end: 1 at most
}

// Summary is the book in figures.
type Summary struct {
	Entries  int64           `json:"entries"`
	Repeated int64           `json:"repeated"` // requests that came again, since the service began
	Pickups  int             `json:"pickups"`
	States   map[State]int   `json:"states"`
	Kinds    map[Kind]int    `json:"kinds"`
	Sums     map[Kind]int64  `json:"sums"` // fils
	Told     map[string]int  `json:"told"` // notices by channel
	Reports  map[string]int  `json:"reports"`
	Drivers  map[string]int  `json:"drivers"`    // open pickups of each
	Sites    map[string]int  `json:"facilities"` // deliveries to each
	Last     *Entry          `json:"last,omitempty"`
	Latest   map[string]Note `json:"latest"` // reports, by name
}

// Note is the text of a report.
type Note map[string]string
