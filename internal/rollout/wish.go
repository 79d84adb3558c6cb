package rollout

// Wish is the world that a stored state wants. It is level-triggered: asking
// again after a crash asks for the same thing.
type Wish struct {
	// Members is by Plan.Members, and empty before a rollout has had its turn,
	// also when it ended before: it wants nothing then.
	Members []MemberWish `json:"members"`
	Hooks   []HookRecord `json:"hooks,omitempty"` // asked for and not done
}

// MemberWish is what one workload should look like. A version that has traffic
// has instances.
type MemberWish struct {
	Stable             Version `json:"stable"`
	StableInstances    int     `json:"stable_instances"`
	Candidate          Version `json:"candidate"`
	CandidateInstances int     `json:"candidate_instances"`
	Weight             Weight  `json:"weight"` // the candidate's; stable has the rest. Without a stable version it is 0 or Full
	// Exclusive says that at most one of the two has instances, and that nothing else
	// of the workload may have any (R31).
	Exclusive bool `json:"exclusive,omitempty"`
}

// Wish says which world s wants under p. It knows nothing but the two.
func (s State) Wish(p Plan) Wish {
	var w Wish
	for _, h := range s.Hooks {
		if !h.Done {
			w.Hooks = append(w.Hooks, h)
		}
	}
	if s.Stable == nil {
		return w
	}
	w.Members = make([]MemberWish, len(p.Members))
	for i := range p.Members {
		w.Members[i] = s.wish(&p, i)
	}
	return w
}

// wish is what member i should look like. Stable keeps all of its instances until
// the candidate is promoted, has drained it, and has kept it as long as asked
// (R5, R10); a candidate that went back keeps its own until it has drained.
func (s State) wish(p *Plan, i int) MemberWish {
	m := &p.Members[i]
	w := MemberWish{
		Stable: s.Stable[i], StableInstances: m.Instances,
		Candidate: m.Candidate, CandidateInstances: s.capacity(p, i), Weight: s.share(p, i),
	}
	replaced := s.Phase == Ended && s.Outcome == Promoted && s.moves(p, i)
	if w.Stable == 0 || replaced {
		w.StableInstances = 0
	}
	if s.Phase == Ended && s.Outcome != Promoted {
		w.CandidateInstances = 0
	}
	if s.exclusive(p, i) {
		w.Exclusive = true
		return s.changePlaces(w)
	}
	return w
}

// capacity is how many candidates of member i should run: what the weight asked
// for takes, and already what the next step will, so that it need not wait.
func (s State) capacity(p *Plan, i int) int {
	if !s.Up {
		return 0
	}
	next := p.Steps[min(s.Step+1, len(p.Steps)-1)].Weight
	return max(s.needs(p, i, next), s.needs(p, i, max(s.given(i), s.Weight, s.goal(p))))
}

// changePlaces takes the instances from the version that gives up its volumes and,
// until nothing of the workload lives, from the other too (R31).
func (s State) changePlaces(w MemberWish) MemberWish {
	switch {
	case !s.Up: // stable has them still
		return w
	case s.Back == nil:
		w.StableInstances = 0
	default:
		w.CandidateInstances = 0
	}
	if !s.Handed {
		w.StableInstances, w.CandidateInstances = 0, 0
	}
	return w
}
