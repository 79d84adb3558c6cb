package rollout

import "time"

// Change is everything that is stored at once or not at all: decisions with
// their history, what follows from them, and the events that tell of it.
type Change struct {
	Token       uint64            `json:"token"` // of the writer's lease: a change under an older one is refused (R18)
	At          time.Time         `json:"at"`
	Pushes      []Push            `json:"pushes,omitempty"` // new, or replacing the one with the same id
	Releases    []ReleaseRecord   `json:"releases,omitempty"`
	Versions    []VersionRecord   `json:"versions,omitempty"`
	Workloads   []WorkloadRecord  `json:"workloads,omitempty"`   // new, or replacing the one with the same key
	Removed     []Key             `json:"removed,omitempty"`     // workloads
	Accessories []AccessoryRecord `json:"accessories,omitempty"` // new, or replacing the one with the same key
	Dropped     []Key             `json:"dropped,omitempty"`     // accessories that a person removed
	Opened      []Record          `json:"opened,omitempty"`
	Looks       []Look            `json:"looks,omitempty"`      // each replaces the state of its rollout, if that stands at revision Sequence: revisions and looks are both counted from 1
	Baselines   []BaselineRecord  `json:"baselines,omitempty"`  // of rollouts that have their turn now
	Promotions  []Promotion       `json:"promotions,omitempty"` // each moves its workload's stable version
	Refusals    []Refusal         `json:"refusals,omitempty"`
	Commands    []Asked           `json:"commands,omitempty"`
	Events      []Event           `json:"events,omitempty"` // their ids are given by the store
	Watched     time.Time         `json:"watched,omitzero"` // the world was observed then: a later controller knows from it how long nobody looked
}

// Empty reports whether there is nothing to store.
func (c Change) Empty() bool {
	return len(c.Pushes)+len(c.Releases)+len(c.Versions)+len(c.Workloads)+len(c.Removed)+len(c.Opened)+
		len(c.Accessories)+len(c.Dropped)+len(c.Looks)+len(c.Baselines)+len(c.Promotions)+len(c.Refusals)+len(c.Commands)+len(c.Events) == 0 && c.Watched.IsZero()
}

// Asked is a command and the rollout that it is for.
type Asked struct {
	Rollout int64     `json:"rollout"`
	At      time.Time `json:"at"`
	Command Command   `json:"command"`
}

// Catalog is what a controller starts from: all that is alive, and the numbers
// given last.
type Catalog struct {
	Releases    map[string]Release // by app: the highest number
	Workloads   []WorkloadRecord
	Versions    []VersionRecord  // stable and newest ones, those of live rollouts, the promoted ones of Promotions, and all refused ones
	Promotions  []Promotion      // of each workload the newest [KeptPromotions], oldest first
	Live        []Record         // rollouts that have not Ended, oldest first
	Baselines   []BaselineRecord // of live rollouts
	Commands    []Asked          // to live rollouts, not yet carried out or refused, oldest first
	Pushes      []Push           // that are not over, oldest first
	Accessories []AccessoryRecord
	Rollout     int64 // the highest ids given
	Command     int64
	Push        int64
	Watched     time.Time // the newest of any change
}

// KeptPromotions is how many promotions of a workload a catalog holds.
const KeptPromotions = 20
