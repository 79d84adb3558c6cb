package world

import (
	"errors"
	"time"

	"titrate/internal/rollout"
)

// ErrStale is wrapped by a receiver that refuses a wanted world because it has
// taken one with a greater stamp.
var ErrStale = errors.New("a newer world has been taken")

// Served is the split that a router gives in fact.
type Served struct {
	Stamp Stamp              `json:"stamp"` // of the table that every loop has acknowledged
	Since time.Time          `json:"since"` // when the last loop had
	Split map[string][]Share `json:"split"` // by rollout.Key.String()
}

// Of returns version v's share of workload k; ok is false when k has no split.
func (s Served) Of(k rollout.Key, v rollout.Version) (w rollout.Weight, ok bool) {
	split, ok := s.Split[k.String()]
	for _, sh := range split {
		if sh.Version == v {
			w += sh.Weight
		}
	}
	return w, ok
}

// Shares is how a workload's requests were split in fact since its weights last
// changed (R15).
type Shares struct {
	Key      rollout.Key `json:"key"`
	Since    time.Time   `json:"since"`
	Versions []Observed  `json:"versions"`
	// Off says that the split has left its time-uniform bound: what is served is
	// not what was asked, with an error of at most one in a million rollouts.
	Off bool `json:"off,omitempty"`
}

// Observed is one version's part in [Shares].
type Observed struct {
	Version rollout.Version `json:"version"`
	Asked   rollout.Weight  `json:"asked"`
	Drawn   uint64          `json:"drawn"`             // requests that were drawn freely
	Matched uint64          `json:"matched,omitempty"` // sent to it by a match rule, past the draw; since the node began
	Open    int             `json:"open"`
	Recent  Recent          `json:"recent"`
	// Of a candidate (R25), since the gateway began:
	Shielded uint64     `json:"shielded,omitempty"` // failures that stable answered in its place
	Served   Unshielded `json:"served,omitzero"`    // failures that clients saw
}

// Unshielded counts failures of a candidate that clients saw, by why stable did not answer
// instead (R25).
type Unshielded struct {
	Method uint64 `json:"method,omitempty"` // the request may not be sent twice
	Body   uint64 `json:"body,omitempty"`   // its body was too large to keep
	Budget uint64 `json:"budget,omitempty"` // too many were shielded in ten seconds
	Sent   uint64 `json:"sent,omitempty"`   // the client had the answer's head
	Status uint64 `json:"status,omitempty"` // the answer's status is none that is shielded: 500, say
	Stable uint64 `json:"stable,omitempty"` // nothing of stable was ready
}

// Sum is how many there were.
func (u Unshielded) Sum() uint64 {
	return u.Method + u.Body + u.Budget + u.Sent + u.Status + u.Stable
}

// Recent is what a version did in the last ten seconds.
type Recent struct {
	RPS    float64       `json:"rps"`
	Failed float64       `json:"failed"` // share of the requests
	P50    time.Duration `json:"p50"`
	P99    time.Duration `json:"p99"`
}
