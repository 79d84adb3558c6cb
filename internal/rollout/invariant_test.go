package rollout_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"titrate/internal/rollout"
)

// next looks once, and returns what does not hold. It copies what it gives to
// Next first, with room at the end of each list, where an append would write.
func next(p rollout.Plan, before rollout.State, seen rollout.Seen, now time.Time) (rollout.State, error) {
	given := before
	given.Stable, given.Restarts, given.Shares = roomy(before.Stable), roomy(before.Restarts), roomy(before.Shares)
	given.Hooks, given.Waived, given.Notices = roomy(before.Hooks), roomy(before.Waived), roomy(before.Notices)
	was := encode(p) + encode(before) + encode(seen)
	after := rollout.Next(p, given, seen, now)
	rollout.Waiting(p, after, seen, now)
	if encode(p)+encode(given)+encode(seen) != was {
		return after, errors.New("Next changed what it was given")
	}
	for _, list := range []any{given.Hooks, given.Waived, given.Notices} {
		if v := reflect.ValueOf(list); v.Len() < v.Cap() && !v.Slice(0, v.Len()+1).Index(v.Len()).IsZero() {
			return after, errors.New("Next wrote behind a list that it was given")
		}
	}
	return after, checkLook(p, before, seen, now, after)
}

func roomy[T any](list []T) []T {
	if list == nil {
		return nil
	}
	return append(make([]T, 0, len(list)+2), list...)
}

// checkLook checks what must be true of any look whatever was seen.
func checkLook(p rollout.Plan, before rollout.State, seen rollout.Seen, now time.Time, after rollout.State) error {
	return errors.Join(
		checkPure(p, before, seen, now, after),
		checkWeight(p, before, seen, now, after),
		checkWaves(p, before, seen, after),
		checkOutcome(p, before, after),
		checkWish(p, after),
		checkExclusive(p, before, seen, after),
		checkWaiting(p, after, seen, now),
	)
}

// checkPure asks again, and replays the look as it would be stored: the answer
// must be the same.
func checkPure(p rollout.Plan, before rollout.State, seen rollout.Seen, now time.Time, after rollout.State) error {
	again := rollout.Next(p, before, seen, now)
	if !reflect.DeepEqual(again, after) {
		return fmt.Errorf("Next answers differently when asked again: %s, %s", encode(after), encode(again))
	}
	if reflect.DeepEqual(before, after) {
		return nil // not stored
	}
	look := rollout.Look{Rollout: p.Rollout, Sequence: 1, Core: rollout.CoreVersion, At: now, Before: before, Seen: seen, After: after}
	var stored rollout.Look
	if err := json.Unmarshal([]byte(encode(look)), &stored); err != nil {
		return err
	}
	var plan rollout.Plan
	if err := json.Unmarshal([]byte(encode(p)), &plan); err != nil {
		return err
	}
	return stored.Replay(plan)
}

func encode(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// checkWeight holds R5, by its own arithmetic.
func checkWeight(p rollout.Plan, before rollout.State, seen rollout.Seen, now time.Time, after rollout.State) error {
	if after.Weight < 0 || after.Weight > rollout.Full {
		return fmt.Errorf("weight %d", after.Weight)
	}
	ahead := -1 // the member that went back before the others (R23)
	if b := after.Back; b != nil && b.Ahead {
		ahead = b.Member
		if n := p.Members[ahead].Instances; (before.Back == nil || !before.Back.Ahead) && after.Stable[ahead] != 0 && seen.Members[ahead].StableReady < n {
			return fmt.Errorf("R5: %s goes back ahead with %d of %d ready", p.Members[ahead].Workload, seen.Members[ahead].StableReady, n)
		}
	}
	if after.Weight == before.Weight {
		return nil
	}
	raised := after.Weight > before.Weight
	changesPlaces := false // R31
	for i, m := range p.Members {
		changesPlaces = changesPlaces || i < len(after.Exclusive) && after.Exclusive[i] && after.Stable[i] != m.Candidate && !after.Unmoved(i)
	}
	patienceOver := after.Phase == rollout.Returning && now.Sub(after.Back.Since) >= 10*time.Second && after.Back.Outcome != rollout.Superseded
	for i, m := range p.Members {
		if after.Stable[i] == m.Candidate || after.Unmoved(i) || i == ahead {
			continue
		}
		share := after.Weight
		if after.Stable[i] == 0 && share > 0 {
			share = rollout.Full
		}
		ready, stable := 0, 0
		if len(seen.Members) > 0 {
			ready, stable = seen.Members[i].Ready, seen.Members[i].StableReady
		}
		if raised && ready*10000 < int(share)*m.Instances {
			return fmt.Errorf("R5: %s raised to %s with %d of %d ready", m.Workload, share, ready, m.Instances)
		}
		if !raised && after.Stable[i] != 0 && !patienceOver && !changesPlaces && stable*10000 < int(rollout.Full-share)*m.Instances {
			return fmt.Errorf("R5: stable %s raised to %s with %d of %d ready", m.Workload, rollout.Full-share, stable, m.Instances)
		}
	}
	if raised && (before.Pause != nil && after.Command == before.Command) {
		return errors.New("raised while paused, and nobody asked for it")
	}
	return nil
}

// checkWaves holds R23: within a step so many members change at a time, when none of them
// is on its way any more, each with its capacity (R5); what has arrived has arrived at
// all; and a way back gives nobody more.
func checkWaves(p rollout.Plan, before rollout.State, seen rollout.Seen, after rollout.State) error {
	if after.Shares != nil && (p.Waves == 0 || p.Waves >= len(p.Members) || !after.Arrived.IsZero() || after.Over() || after.Phase == rollout.Baking) {
		return fmt.Errorf("R23: %s in waves, arrived %s: %v", after.Phase, after.Arrived, after.Shares)
	}
	was, is := before.Wish(p).Members, after.Wish(p).Members
	changed, exclusive := 0, false
	for i, m := range is {
		exclusive = exclusive || m.Exclusive
		if !after.Arrived.IsZero() && m.Weight != 0 && m.Weight != after.Weight && m.Stable != 0 {
			return fmt.Errorf("R23: %s has arrived, and %s has %s", after.Weight, p.Members[i].Workload, m.Weight)
		}
		if was == nil || m.Weight == was[i].Weight {
			continue
		}
		changed++
		name, up := p.Members[i].Workload, m.Weight > was[i].Weight
		switch {
		case up && after.Phase != rollout.Shifting:
			return fmt.Errorf("R23: %s goes from %s to %s while %s", name, was[i].Weight, m.Weight, after.Phase)
		case after.Phase != rollout.Shifting:
			continue
		case up && seen.Members[i].Ready < m.Weight.Instances(p.Members[i].Instances):
			return fmt.Errorf("R5: %s raised to %s with %d ready", name, m.Weight, seen.Members[i].Ready)
		case !up && m.Stable != 0 && seen.Members[i].StableReady < (rollout.Full-m.Weight).Instances(p.Members[i].Instances):
			return fmt.Errorf("R5: stable %s raised to %s with %d ready", name, rollout.Full-m.Weight, seen.Members[i].StableReady)
		}
	}
	if after.Phase != rollout.Shifting || changed == 0 || p.Waves == 0 || p.Waves >= len(p.Members) || exclusive {
		return nil
	}
	if changed > p.Waves {
		return fmt.Errorf("R23: %d members change at a time, not %d", changed, p.Waves)
	}
	for i, m := range was {
		still := m.Stable == m.Candidate || before.Unmoved(i) || p.Members[i].Worker
		if !still && seen.Members[i].Served != m.Weight {
			return fmt.Errorf("R23: %d members change while %s is on its way to %s", changed, p.Members[i].Workload, m.Weight)
		}
	}
	return nil
}

// checkOutcome holds that a rollout ends in exactly one outcome that fits.
func checkOutcome(p rollout.Plan, before, after rollout.State) error {
	moving := false
	for i := range after.Stable {
		moving = moving || after.Stable[i] != p.Members[i].Candidate && !after.Unmoved(i)
	}
	over := after.Phase == rollout.Retiring || after.Phase == rollout.Ended
	switch {
	case before.Outcome != "" && after.Outcome != before.Outcome:
		return fmt.Errorf("outcome changed from %s to %s", before.Outcome, after.Outcome)
	case over != after.Over():
		return fmt.Errorf("%s with outcome %q", after.Phase, after.Outcome)
	case after.Outcome == rollout.Promoted && moving && after.Weight != rollout.Full:
		return fmt.Errorf("promoted at %s", after.Weight)
	case after.Over() && after.Outcome != rollout.Promoted && (after.Weight != 0 || after.Shares != nil):
		return fmt.Errorf("%s at %s, %v", after.Outcome, after.Weight, after.Shares)
	case after.Over() && after.Outcome != rollout.Promoted && (after.Back == nil || after.Back.Outcome != after.Outcome || after.Back.Why == ""):
		return fmt.Errorf("%s without a reason: %+v", after.Outcome, after.Back)
	case after.Outcome == rollout.Failed && after.Took, after.Outcome == rollout.RolledBack && !after.Took:
		return fmt.Errorf("%s, took traffic: %t", after.Outcome, after.Took)
	case after.Weight > 0 && !after.Took:
		return errors.New("traffic that was not written down")
	case after.Command < before.Command:
		return errors.New("a command is looked at again")
	case after.Attempt < before.Attempt || after.Attempt > before.Attempt+1:
		return fmt.Errorf("attempt %d after %d", after.Attempt, before.Attempt)
	case after.Over() && after.Pause != nil:
		return errors.New("paused for ever")
	}
	return nil
}

// checkWish holds that no traffic goes where nothing runs, and that the stable
// version stays whole until it is replaced.
func checkWish(p rollout.Plan, s rollout.State) error {
	w := s.Wish(p)
	if !reflect.DeepEqual(w, s.Wish(p)) {
		return errors.New("two wishes of one state")
	}
	if w.Members == nil {
		if s.Phase != rollout.Queued && s.Phase != rollout.Ended || s.Took {
			return fmt.Errorf("%s wants nothing", s.Phase)
		}
		return nil
	}
	for i, m := range w.Members {
		n := p.Members[i].Instances
		still := m.Stable == m.Candidate || s.Unmoved(i)
		switch {
		case still && (m.Weight != 0 || m.StableInstances != n || m.CandidateInstances != 0):
			return fmt.Errorf("moves what is stable: %+v", m)
		case still:
		case m.Weight > 0 && m.CandidateInstances*10000 < int(m.Weight)*n:
			return fmt.Errorf("traffic without capacity: %+v", m)
		case m.Stable == 0 && m.Weight != 0 && m.Weight != rollout.Full:
			return fmt.Errorf("shares traffic with no version: %+v", m)
		case m.Exclusive: // see checkExclusive
		case m.Stable != 0 && s.Outcome != rollout.Promoted && m.StableInstances != n:
			return fmt.Errorf("stable is not whole: %+v", m)
		case m.Stable == 0 && m.StableInstances != 0:
			return fmt.Errorf("instances of no version: %+v", m)
		case s.Phase == rollout.Ended && s.Outcome == rollout.Promoted && (m.Weight != rollout.Full || m.CandidateInstances != n || m.StableInstances != 0):
			return fmt.Errorf("promoted, but %+v", m)
		case s.Phase == rollout.Ended && s.Outcome != rollout.Promoted && m.CandidateInstances != 0:
			return fmt.Errorf("%s, but %+v", s.Outcome, m)
		}
	}
	return nil
}

// checkExclusive holds R31: versions that change places never are wanted at the same
// time, and one comes up only when nothing of the workload was seen to live after
// both had been asked to end.
func checkExclusive(p rollout.Plan, before rollout.State, seen rollout.Seen, after rollout.State) error {
	was, is := before.Wish(p).Members, after.Wish(p).Members
	for i, m := range is {
		if i >= len(after.Exclusive) || !after.Exclusive[i] {
			continue
		}
		n := p.Members[i].Instances
		switch {
		case after.Stable[i] == m.Candidate || after.Unmoved(i):
			continue
		case !m.Exclusive:
			return fmt.Errorf("R31: the wish does not say that it is exclusive: %+v", m)
		case m.StableInstances > 0 && m.CandidateInstances > 0:
			return fmt.Errorf("R31: two writers: %+v", m)
		case m.Weight != 0 && m.Weight != rollout.Full:
			return fmt.Errorf("R31: they share traffic: %+v", m)
		case after.Phase == rollout.Ended && m.StableInstances+m.CandidateInstances != n && (m.Stable != 0 || after.Outcome == rollout.Promoted):
			return fmt.Errorf("R31: it ended, and nothing runs: %+v", m)
		case was == nil:
			continue
		}
		came := m.CandidateInstances > was[i].CandidateInstances || m.StableInstances > was[i].StableInstances
		gone := was[i].StableInstances+was[i].CandidateInstances == 0 && len(seen.Members) > 0 && seen.Members[i].Free
		if came && !gone {
			return fmt.Errorf("R31: it comes up while something may live: %+v, then %+v", was[i], m)
		}
	}
	return nil
}

// checkWaiting holds R21: every wait has a reason, and an end or a person.
func checkWaiting(p rollout.Plan, s rollout.State, seen rollout.Seen, now time.Time) error {
	w := rollout.Waiting(p, s, seen, now)
	switch {
	case s.Phase == rollout.Ended && w != rollout.Wait{}:
		return fmt.Errorf("R21: ended, but waits for %+v", w)
	case s.Phase == rollout.Ended:
		return nil
	case w.For == "" || w.Then == "":
		return fmt.Errorf("R21: waits without a reason in %s: %+v", s.Phase, w)
	case w.Until.IsZero() && !w.Person && s.Phase != rollout.Queued:
		return fmt.Errorf("R21: waits without an end in %s: %+v", s.Phase, w)
	case !seen.Unwatched.IsZero(): // the first look after a break; what it was waiting for may be so at the next
	case !w.Until.IsZero() && !w.Until.After(now):
		seen.Commands = nil
		if reflect.DeepEqual(rollout.Next(p, s, seen, now), s) {
			return fmt.Errorf("R21: waits in %s beyond its end, and nothing follows: %+v at %s", s.Phase, w, now)
		}
	}
	return nil
}
