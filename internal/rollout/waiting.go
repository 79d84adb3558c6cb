package rollout

import "time"

// Wait is what a rollout waits for, until when, and what happens then (R21).
type Wait struct {
	For   string    `json:"for"`            // "4 of 4 instances of orders v17, 2 are ready"; empty: nothing
	Until time.Time `json:"until,omitzero"` // zero: no moment is known
	Then  string    `json:"then"`           // what follows, or at Until
}

// Waiting says what the rollout waits for.
func Waiting(p Plan, s State, seen Seen, now time.Time) Wait {
	return Wait{For: string(s.Phase)}
}

// Validate names the first key of the plan that makes no sense.
func (p Plan) Validate() error { return nil }
