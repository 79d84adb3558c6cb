package rollout

import (
	"fmt"
	"time"

	"titrate/internal/analysis"
)

// Wait is what a rollout waits for, until when, and what happens then (R21).
type Wait struct {
	For    string    `json:"for"`              // "orders v17: 2 of 4 instances are ready"; empty: nothing, it has ended
	Until  time.Time `json:"until,omitzero"`   // the latest end of the wait; zero: the wait has no time of its own
	Then   string    `json:"then"`             // what follows, at Until at the latest
	Person bool      `json:"person,omitempty"` // it is a person who must act
}

const (
	thenAsks = "it pauses and asks"
	thenEnds = "it ends"
	thenBack = "all traffic goes back to stable"
)

// Waiting says what the rollout waits for at this look.
func Waiting(p Plan, s State, seen Seen, now time.Time) Wait {
	l := &look{plan: &p, seen: &seen, now: moment(now)}
	s = l.note(s)
	switch s.Phase {
	case Queued, Starting, Shifting, Baking:
		if s.Pause != nil {
			return l.waitForPerson(s)
		}
	case Returning:
		return l.waitReturning(s)
	case Retiring:
		return l.waitRetiring(s)
	case Ended:
		return Wait{}
	}
	if s.Phase == Queued {
		return Wait{For: "its turn: an earlier rollout has no outcome yet", Then: "its candidates come up"}
	}
	if s.changing(l.plan) {
		return l.waitGone(s)
	}
	for _, h := range s.Hooks {
		if !h.Done && s.counts(h) {
			return Wait{For: l.hookName(h) + " to end", Until: h.Asked.Add(p.HookTimeout + hookGrace), Then: thenAsks}
		}
	}
	if l.tooShort(s) && l.observed() || s.Phase == Starting && !s.Short.IsZero() {
		return l.waitCapacity(s)
	}
	if s.Phase == Starting {
		return Wait{For: "the next look", Until: l.now, Then: "the first step"}
	}
	return l.waitStep(s)
}

func (l *look) waitForPerson(s State) Wait {
	w := Wait{For: s.Why, Until: s.Pause.Until, Then: "it goes on"}
	if w.Until.IsZero() {
		w.Then, w.Person = "whoever resumes, promotes or aborts it decides", true
	}
	return w
}

func (l *look) waitCapacity(s State) Wait {
	i, ready, needs := l.shortest(s)
	then := thenBack
	if !s.Took {
		then = "it fails"
	}
	if l.plan.Kind == Rollback && s.Took {
		then = thenAsks
	}
	return Wait{
		For:   fmt.Sprintf("%s: %d of %d instances are ready", l.candidate(i), ready, needs),
		Until: s.Short.Add(l.plan.StartTimeout), Then: then,
	}
}

// waitStep is what a step or a bake waits for when its capacity is there.
func (l *look) waitStep(s State) Wait {
	then, verdict := "it is promoted", l.judge(s)
	switch next := s.Step + 1; {
	case s.Phase == Shifting && next == len(l.plan.Steps):
		then, verdict.well = "the bake", true // it needs no verdict
	case s.Phase == Shifting:
		then = s.at(l.plan, next)
	}
	asks := Wait{Until: s.Unjudged.Add(l.plan.NoDataTimeout), Then: thenAsks}
	breach, trips := l.breach(s)
	switch {
	case s.Weight > s.goal(l.plan):
		w := Wait{For: "the stable version's instances to be ready for " + (Full - s.goal(l.plan)).String(), Then: s.at(l.plan, s.Step)}
		return l.orPerson(w, s.Since.Add(l.plan.StartTimeout))
	case s.Held:
		return Wait{For: "a person: " + s.Why, Then: "whoever promotes or resumes it decides", Person: true}
	case s.Arrived.IsZero() || !s.Unserved.IsZero():
		asks.For = l.why(s, verdict)
		return asks
	case l.now.Before(trips):
		return Wait{For: breach.why, Until: trips, Then: breach.then() + ", unless it ends before"}
	case s.Phase == Shifting && l.plan.Steps[s.Step].Approve && !s.NoBaseline:
		return Wait{For: "a person's approval of " + s.at(l.plan, s.Step), Then: then, Person: true}
	case l.holds(s) && s.Phase == Shifting:
		return Wait{For: s.at(l.plan, s.Step) + " to be held", Until: s.Arrived.Add(s.Gap + l.plan.Steps[s.Step].Hold), Then: then}
	case l.holds(s):
		return Wait{For: l.bakeOf(s), Until: s.Since.Add(s.Gap + l.bakes(s)), Then: then}
	case !verdict.well:
		asks.For = l.why(s, verdict)
		if breach != nil && !breach.asks {
			asks.Then += "; " + thenBack + " as soon as the alarm trips"
		}
		return asks
	}
	return Wait{For: "the next look", Until: l.now, Then: then}
}

// breach is the breach under way that trips first if it goes on, and when that is;
// nil where there is none.
func (l *look) breach(s State) (first *fault, trips time.Time) {
	if !l.observed() || s.NoBaseline {
		return nil, trips
	}
	for i := range l.plan.Members {
		if !s.moves(l.plan, i) {
			continue
		}
		readings := l.seen.Members[i].Readings
		for n := range readings {
			r := &readings[n]
			if r.Abstains || r.Reaction == analysis.ReactNotify || r.Breaching == 0 || l.verdict(s, r) != analysis.Inconclusive || l.waived(s, l.alarmCause(s, i, r)) {
				continue
			}
			at := r.Closed.Add(time.Duration(r.M-r.Breaching) * l.plan.Members[i].period(r.Alarm))
			if first == nil || at.Before(trips) {
				asks := r.Reaction == analysis.ReactPause || l.plan.Kind == Rollback && s.Took
				first, trips = &fault{why: fmt.Sprintf("%s of %s: %s", r.Alarm, l.plan.Members[i].Workload, r.Text), member: i, asks: asks}, at
			}
		}
	}
	return first, trips
}

// then is what the fault brings.
func (f fault) then() string {
	if f.asks {
		return thenAsks
	}
	return thenBack
}

func (l *look) waitReturning(s State) Wait {
	stable := "the stable version's instances to be ready"
	switch {
	case s.most() == 0 && s.changing(l.plan) && s.goesBack(l.plan):
		return l.waitGone(s)
	case s.most() == 0 && l.served(s) && !l.restored(s):
		return l.waitRestored(s)
	case s.most() == 0:
		w := Wait{For: "the gateway to confirm that no traffic goes to a candidate", Then: "it is " + string(s.Back.Outcome)}
		return l.orPerson(w, s.Since.Add(answerPatience))
	case s.Back.Outcome == Superseded:
		return l.orPerson(Wait{For: stable, Then: thenBack}, s.Since.Add(l.plan.StartTimeout))
	case s.most() < s.Back.From:
		return Wait{For: "the way back in steps", Until: s.Since.Add(gradualStage), Then: "less traffic"}
	}
	return Wait{For: stable, Until: s.Since.Add(returnPatience), Then: thenBack}
}

// answerPatience is how long the gateway may be silent before a person should
// see to the node.
const answerPatience = time.Minute

// orPerson gives a wait that has no end of its own a person, from a moment on.
func (l *look) orPerson(w Wait, from time.Time) Wait {
	if l.now.Before(from) {
		w.Until, w.Then = from, w.Then+"; if not, a person must see to the node"
		return w
	}
	w.Then, w.Person = w.Then+", when a person has seen to the node", true
	return w
}

func (l *look) waitRetiring(s State) Wait {
	switch {
	case s.hooksRun():
		var last time.Time
		for _, h := range s.Hooks {
			if !h.Done && h.Asked.After(last) {
				last = h.Asked
			}
		}
		return Wait{For: "hooks to end", Until: last.Add(l.plan.HookTimeout + hookGrace), Then: thenEnds}
	case !l.drained(s):
		return Wait{For: "requests on the version without traffic to finish", Until: s.Since.Add(l.plan.Drain), Then: thenEnds}
	case l.kept(s):
		return Wait{For: "the old version is kept", Until: s.Since.Add(l.plan.Keep), Then: thenEnds}
	}
	return Wait{For: "the next look", Until: l.now, Then: thenEnds}
}
