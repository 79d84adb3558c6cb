package rollout

import "time"

// Change is everything that is stored at once or not at all: decisions with
// their history, what follows from them, and the events that tell of it.
type Change struct {
	Token      uint64           `json:"token"` // of the writer's lease: a change under an older one is refused (R18)
	At         time.Time        `json:"at"`
	Pushes     []Push           `json:"pushes,omitempty"` // new, or replacing the one with the same id
	Releases   []ReleaseRecord  `json:"releases,omitempty"`
	Versions   []VersionRecord  `json:"versions,omitempty"`
	Workloads  []WorkloadRecord `json:"workloads,omitempty"` // new, or replacing the one with the same key
	Removed    []Key            `json:"removed,omitempty"`   // workloads
	Opened     []Progress       `json:"opened,omitempty"`
	Decisions  []Decision       `json:"decisions,omitempty"`
	Promotions []Promotion      `json:"promotions,omitempty"` // each moves its workload's stable version
	Refusals   []Refusal        `json:"refusals,omitempty"`
	Commands   []Asked          `json:"commands,omitempty"`
	Events     []Event          `json:"events,omitempty"` // their ids are given by the store
}

// Empty reports whether there is nothing to store.
func (c Change) Empty() bool {
	return len(c.Pushes)+len(c.Releases)+len(c.Versions)+len(c.Workloads)+len(c.Removed)+len(c.Opened)+
		len(c.Decisions)+len(c.Promotions)+len(c.Refusals)+len(c.Commands)+len(c.Events) == 0
}

// Asked is a command and the rollout that it is for.
type Asked struct {
	Rollout int64     `json:"rollout"`
	At      time.Time `json:"at"`
	Command Command   `json:"command"`
}

// Decision is one row of a rollout's history: Next(plan, Before, Seen, At) was
// After. It is stored only if the rollout still stands at Revision.
type Decision struct {
	Rollout  int64     `json:"rollout"`
	Revision int64     `json:"revision"` // that After replaces Before of; After's is one more. The row's number in the history
	Core     int       `json:"core"`     // CoreVersion of the rules that decided
	At       time.Time `json:"at"`
	Before   State     `json:"before"`
	Seen     Seen      `json:"seen"`
	After    State     `json:"after"`
}

// Catalog is what a controller starts from: all that is alive, and the numbers
// given last.
type Catalog struct {
	Releases   map[string]Release // by app: the highest number
	Workloads  []WorkloadRecord
	Versions   []VersionRecord // stable and newest ones, those of live rollouts, the promoted ones of Promotions, and all refused ones
	Promotions []Promotion     // of each workload the newest [KeptPromotions], oldest first
	Live       []Progress      // rollouts that have not Ended, oldest first
	Commands   []Asked         // to live rollouts, not yet carried out or refused, oldest first
	Pushes     []Push          // that are not over, oldest first
	Rollout    int64           // the highest ids given
	Command    int64
	Push       int64
}

// KeptPromotions is how many promotions of a workload a catalog holds.
const KeptPromotions = 20
