package rollout

import (
	"slices"
	"time"
)

// life is the whole life of a rollout. In each phase these rules are asked at
// every look, in this order, and the first that decides ends the look. So what
// stands above wins: a person's abort over everything (R6), a trip over a
// promotion, a pause over a step forward.
var life = map[Phase][]rule{
	Queued: {
		abort,      // R6: → Ended
		makeRoom,   // R3: of those that wait only the newest is kept: → Ended
		obey,       // R21: what people asked
		stayPaused, // R21
		waitTurn,   // R3: one at a time
		takeTurn,   // R9: refused: → Ended. Otherwise → Starting
	},
	Starting: {
		abort,
		trip,     // R14, R24: it did not come up, or a hook failed: → Retiring
		giveWay,  // R3: superseded: → Retiring
		obey,     // R7: a retry begins here again
		handOver, // R31: what had the volumes is gone
		stayPaused,
		awaitHooks, // R24: release and preTraffic
		bringUp,    // the candidates may come up
		goLive,     // R5: enough of them are ready: → Shifting
	},
	Shifting: {
		abort,
		trip,    // R12, R14, R24, R27: → Returning, or a pause that asks
		giveWay, // R3: superseded: → Returning
		obey,    // R7: a retry: → Starting
		arrive,  // R13: every gateway loop has the weight: the hold begins
		stayPaused,
		shift,     // R5: capacity before weight
		tryStep,   // R24: the step's hook
		advance,   // R11: held, approved, judged well: the next step, or → Baking
		askPerson, // R11: not judged for too long
	},
	Baking: {
		abort,
		trip,
		giveWay,
		obey,
		stayPaused,
		awaitHooks, // R24: postTraffic
		promote,    // R20: baked and judged well: → Retiring
		askPerson,
	},
	Returning: {
		abort,    // R6: at once, even if the plan is gradual
		worsen,   // R3: a candidate that gives way fails: rolled back
		obey,     // refuses
		takeBack, // R5, R22: stable's capacity first
		handOver, // R31: what had the volumes is gone
		comeBack, // all traffic is back: → Retiring
	},
	Retiring: {
		abort,
		obey,
		retire, // R10, R17: drained, and kept as long as asked: → Ended
	},
	Ended: {
		abort,
		obey,
	},
}

// New returns the state of a rollout that is opened now.
func New(p Plan, now time.Time) State {
	return State{
		Phase: Queued, Why: "it waits for its turn", Since: moment(now),
		Attempt: max(p.Attempt, 1), Step: p.From, Hooks: slices.Clone(p.Ran),
	}
}

// Next says where a rollout stands after one look at the world. It makes at
// most one move, reads no clock, and changes nothing that it was given. The
// same arguments give the same answer.
func Next(p Plan, s State, seen Seen, now time.Time) State {
	l := &look{plan: &p, seen: &seen, now: moment(now)}
	s = l.note(l.past(s))
	for _, decide := range life[s.Phase] {
		next, decided := decide(l, s)
		if decided {
			return next
		}
		s = next
	}
	return s
}

// look is what one call of [Next] may know.
type look struct {
	plan *Plan
	seen *Seen
	now  time.Time
}

// rule decides one thing about a rollout: a move, or to wait. If it does not
// decide, the next rule is asked, and sees what this one wrote down.
type rule func(l *look, s State) (next State, decided bool)

// to moves s into a phase.
func (l *look) to(s State, phase Phase, why string) State {
	s.Phase, s.Why, s.Since = phase, why, l.now
	return s
}

// moment drops what a stored time does not keep, so that a replay computes with
// the same times.
func moment(t time.Time) time.Time { return t.Round(0).UTC() }
