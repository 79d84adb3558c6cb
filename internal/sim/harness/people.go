package harness

import (
	"context"
	"time"

	"titrate/internal/controller"
	"titrate/internal/rollout"
)

const (
	env = "production"
	who = "ana"
)

// change has somebody push something.
func (h *history) change() {
	a, r := h.app, h.rand
	s := pick(r, a.services)
	switch x := r.Float64(); {
	case x < 0.6:
		h.build(s, r.IntN(2) == 0)
		if r.IntN(3) == 0 {
			h.build(pick(r, a.services), true)
		}
		h.count(PushNew)
	case x < 0.75:
		s.artifact = 1 + r.IntN(s.built)
		h.count(PushRevert)
	case x < 0.9:
		s.level++
		h.count(PushConfig)
	default:
		h.plan(a)
		s.scale = 1 + r.IntN(4)
		h.build(s, true)
		h.count(PushPlan)
	}
	urgent := r.IntN(10) == 0
	if urgent {
		h.count(PushUrgent)
	}
	h.push(urgent)
}

var verbs = []struct {
	verb  rollout.Verb
	fault Fault
}{
	{rollout.PauseVerb, PersonPauses},
	{rollout.Resume, PersonResumes},
	{rollout.Promote, PersonPromotes},
	{rollout.PromoteFull, PersonPromotesFull},
	{rollout.Abort, PersonAborts},
	{rollout.Retry, PersonRetries},
	{rollout.SetWeight, PersonSetsWeight},
}

// person has somebody ask for something.
func (h *history) person() {
	if h.newest == nil || h.store.Last() == 0 {
		return
	}
	if h.rand.IntN(12) == 0 {
		h.rollBack()
		return
	}
	id := 1 + h.rand.Int64N(h.store.Last())
	if live := h.store.Live(); len(live) > 0 && h.rand.IntN(5) > 0 {
		id = pick(h.rand, live)
	}
	v := pick(h.rand, verbs)
	cmd := rollout.Command{Verb: v.verb, By: who, Reason: "because"}
	switch v.verb {
	case rollout.SetWeight:
		cmd.Weight = rollout.Weight(h.rand.IntN(int(rollout.Full) + 1))
	case rollout.Retry:
		cmd.Step = h.rand.IntN(3)
	case rollout.PauseVerb:
		if h.rand.IntN(2) == 0 {
			cmd.For = h.short(30 * time.Second)
		}
	case rollout.Abort, rollout.Resume, rollout.Promote, rollout.PromoteFull:
	}
	h.count(v.fault)
	h.ask(id, cmd)
}

// ask asks something of a rollout.
func (h *history) ask(id int64, cmd rollout.Command) {
	c := h.newest
	if c == nil {
		return
	}
	h.tracef("%s asks rollout %d: %s", cmd.By, id, cmd.Verb)
	h.expect(h.call(c, func(ctx context.Context) error {
		_, err := c.Command(ctx, id, cmd)
		return err
	}))
}

// rollBack asks for the version before.
func (h *history) rollBack() {
	c, scope := h.newest, controller.Scope{App: "shop", Env: env}
	if h.rand.IntN(2) == 0 {
		scope.Workload = pick(h.rand, h.app.services).name
	}
	h.count(PersonRollsBack)
	h.tracef("%s rolls back %s", who, scope)
	h.expect(h.call(c, func(ctx context.Context) error {
		_, err := c.Rollback(ctx, scope, controller.Destination{}, who)
		return err
	}))
}

// answerEvery is how often people look at what waits for them.
const answerEvery = 7 * time.Second

// patience is how long a history may take to end when nothing is wrong any more.
const patience = 3 * time.Hour

// settle lets all faults cease, and has people answer what they are asked, until
// nothing is in progress.
func (h *history) settle() {
	h.tracef("the faults cease")
	h.rates, h.armed, h.older = rates{}, nil, nil
	h.mail.deaf, h.mail.blind = time.Time{}, time.Time{}
	began, answered := h.clock.Now(), h.clock.Now()
	for h.newest == nil || len(h.store.Live()) > 0 {
		now := h.clock.Now()
		if now.Sub(began) > patience {
			h.stuck()
		}
		if now.Sub(answered) >= answerEvery {
			answered = now
			h.answer(now.Sub(began))
		}
		h.tick(time.Second)
	}
	// What is wanted last is asked for, and served.
	for range 5 {
		h.tick(time.Second)
	}
	h.checkEnd()
}

// answer has people answer every rollout that waits for them. When they have
// answered for long, they abort.
func (h *history) answer(waited time.Duration) {
	for _, id := range append([]int64(nil), h.store.Live()...) {
		r := h.store.Record(id)
		s := &r.State
		approves := s.Phase == rollout.Shifting && s.Step < len(r.Plan.Steps) && r.Plan.Steps[s.Step].Approve && !s.Arrived.IsZero()
		switch {
		case s.Over() || s.Pause == nil && !s.Held && !approves:
		case waited > patience/4:
			h.ask(id, rollout.Command{Verb: rollout.Abort, By: who})
		case s.Pause != nil && h.rand.IntN(3) == 0, s.Pause == nil && h.rand.IntN(8) == 0:
			h.ask(id, rollout.Command{Verb: rollout.Abort, By: who})
		case s.Pause != nil && h.rand.IntN(2) == 0:
			h.ask(id, rollout.Command{Verb: rollout.Resume, By: who})
		default:
			h.ask(id, rollout.Command{Verb: rollout.Promote, By: who})
		}
	}
}

// stuck says of a history that does not end what it waits for.
func (h *history) stuck() {
	for _, id := range h.store.Live() {
		r := h.store.Record(id)
		var seen rollout.Seen
		if h.newest != nil {
			seen, _ = h.newest.Last(id)
		}
		wait := rollout.Waiting(r.Plan, r.State, seen, h.clock.Now())
		h.holds(allEnd, false, "rollout %d is %s (%s) and waits for %+v", id, r.State.Phase, r.State.Why, wait)
	}
	h.holds(allEnd, false, "no controller is up")
}
