package rollout

// Wish is the world that a stored state wants. It is level-triggered: asking
// again after a crash asks for the same thing.
type Wish struct {
	Members []MemberWish `json:"members"`
	Hooks   []HookRecord `json:"hooks,omitempty"` // asked for and not done
}

// MemberWish is what one workload should look like.
type MemberWish struct {
	Stable             Version `json:"stable"`
	StableInstances    int     `json:"stable_instances"`
	Candidate          Version `json:"candidate"`
	CandidateInstances int     `json:"candidate_instances"`
	Weight             Weight  `json:"weight"` // the candidate's; stable has the rest. Without a stable version it is 0 or Full
}

// Wish says which world s wants under p.
func (s State) Wish(p Plan) Wish { return Wish{} }
