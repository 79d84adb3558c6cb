package rollout

import "time"

// New returns the state of a rollout that was just opened.
func New(p Plan, now time.Time) State {
	return State{Phase: Queued, Why: "waits for its turn", Since: now, Attempt: max(p.Attempt, 1), Step: p.From}
}

// Next says where a rollout stands after one look at the world.
func Next(p Plan, s State, seen Seen, now time.Time) State { return s }
