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
	Drawn   uint64          `json:"drawn"` // requests that were drawn freely
	Open    int             `json:"open"`
	Recent  Recent          `json:"recent"`
}

// Recent is what a version did in the last ten seconds.
type Recent struct {
	RPS    float64       `json:"rps"`
	Failed float64       `json:"failed"` // share of the requests
	P50    time.Duration `json:"p50"`
	P99    time.Duration `json:"p99"`
}
