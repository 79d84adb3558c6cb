package world

import (
	"time"

	"titrate/internal/rollout"
)

// Damage is what one attempt of a rollout has broken (R26).
type Damage struct {
	Rollout int64          `json:"rollout"`
	Attempt int            `json:"attempt"`
	Limit   rollout.Damage `json:"limit,omitzero"`
	Served  uint64         `json:"served"`       // failures of its candidates that clients have seen
	Given   uint64         `json:"given"`        // requests that these have had
	Cut     time.Time      `json:"cut,omitzero"` // when the gateway took all traffic from its candidates, for ever; zero: it has not
}
