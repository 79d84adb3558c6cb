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
