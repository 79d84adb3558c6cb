package harness

import (
	"context"
	"errors"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/sim"
	"titrate/internal/world"
)

// rates are the chances of what may happen at a tick, or at a write. In each
// history some of them are 0, so that no fault always hides another.
type rates struct {
	crash, lease, push, person                           float64
	storeRefuses, storeUnanswered                        float64
	targetRefuses, routerLoses, routerUnanswered, silent float64
	observationLost, observationLate, observationDoubled float64
	windowsLost, windowsLate, windowsDoubled, blind      float64
	restart, wipe, dies                                  float64
}

func (h *history) newRates() rates {
	some := func(p float64) float64 {
		if h.rand.IntN(5) < 2 {
			return 0
		}
		return p * (0.5 + h.rand.Float64())
	}
	return rates{
		crash: 0.01, lease: some(0.004), push: 0.004 + some(0.012), person: some(0.03),
		storeRefuses: some(0.02), storeUnanswered: some(0.02),
		targetRefuses: some(0.05), routerLoses: some(0.05), routerUnanswered: some(0.05), silent: some(0.1),
		observationLost: some(0.03), observationLate: some(0.05), observationDoubled: some(0.05),
		windowsLost: some(0.02), windowsLate: some(0.02), windowsDoubled: some(0.03), blind: some(0.004),
		restart: some(0.004), wipe: some(0.001), dies: some(0.02),
	}
}

// crash is where the controller in charge is to be killed next.
type crash struct{ fault Fault }

var crashes = []Fault{
	CrashIdle, CrashBeforeStore, CrashAfterRelease, CrashAfterCommand, CrashAfterDecision, CrashAfterOutcome,
	CrashBeforeTarget, CrashAfterTarget, CrashBeforeRouter, CrashAfterRouter,
}

// disturb lets things happen to the world and its people.
func (h *history) disturb() {
	now := h.clock.Now()
	if h.newest != nil && h.armed == nil && h.chance(h.rates.crash) {
		h.armed = &crash{pick(h.rand, crashes)}
		if h.armed.fault == CrashIdle {
			h.stop(CrashIdle)
		}
	}
	if h.chance(h.rates.blind) {
		h.mail.blind = now.Add(h.short(20 * time.Second))
		h.count(MeterBlind)
		h.tracef("%s", MeterBlind)
	}
	if h.chance(h.rates.restart) {
		h.world.Restart(h.short(6 * time.Second))
		h.count(NodeRestart)
		h.tracef("%s", NodeRestart)
	}
	if h.chance(h.rates.wipe) {
		h.world.Wipe()
		h.checks.wiped(now)
		h.count(NodeWiped)
		h.tracef("%s", NodeWiped)
	}
	if h.chance(h.rates.dies) {
		h.kill()
	}
	if h.newest != nil && h.chance(h.rates.lease) {
		h.count(LeaseExpires)
		h.tracef("%s", LeaseExpires)
		h.older, h.until = h.newest, now.Add(h.short(30*time.Second))
		h.start()
	}
	if h.chance(h.rates.push) {
		h.change()
	}
	if h.chance(h.rates.person) {
		h.person()
	}
}

// kill has a random instance die.
func (h *history) kill() {
	keys := h.store.Keys()
	if len(keys) == 0 {
		return
	}
	k := pick(h.rand, keys)
	if versions := h.world.Versions(k); len(versions) > 0 {
		if v := pick(h.rand, versions); h.world.Kill(k, v) {
			h.count(InstanceDies)
			h.tracef("an instance of %s %s dies", k.Workload, v)
		}
	}
}

// haunt lets a controller that has lost its lease go on: it looks, and is asked
// for things. It must be refused (R18).
func (h *history) haunt() {
	c := h.older
	if c == nil {
		return
	}
	if h.clock.Now().After(h.until) {
		h.older = nil
		return
	}
	h.count(OldLeaderActs)
	if seen, err := h.world.Seen(context.Background(), 0); err == nil {
		served, _ := h.world.Served(context.Background())
		c.Observe(seen, served)
	}
	err := h.call(c, func(ctx context.Context) error {
		_, err := c.Step(ctx, h.clock.Now())
		return err
	})
	fenced := err == nil || errors.Is(err, rollout.ErrFenced) || errors.Is(err, world.ErrStale) || errors.Is(err, sim.ErrFate)
	h.holds(noSurprise, fenced, "of a controller without a lease: %v", err)
	if h.rand.IntN(4) == 0 {
		h.count(OldWorldComesLate)
		_ = h.world.Ensure(context.Background(), c.Wanted())
		_ = h.world.Split(context.Background(), c.Wanted())
	}
	if ids := h.store.Live(); len(ids) > 0 && h.rand.IntN(4) == 0 {
		h.count(OldLeaderAsked)
		id := pick(h.rand, ids)
		err := h.call(c, func(ctx context.Context) error {
			_, err := c.Command(ctx, id, rollout.Command{Verb: rollout.PauseVerb, By: "ben"})
			return err
		})
		h.holds(oneWriter, err != nil, "a controller without a lease took a command for rollout %d", id)
	}
}

// storeFate decides what becomes of a write to the store.
func (h *history) storeFate(c rollout.Change) sim.Fate {
	if h.acting != h.newest {
		return sim.Done
	}
	if h.armed != nil {
		switch f := h.armed.fault; {
		case f == CrashBeforeStore:
			h.struck = true
			return sim.Refused
		case f == CrashAfterRelease && len(c.Releases) > 0,
			f == CrashAfterCommand && len(c.Commands) > 0,
			f == CrashAfterDecision && len(c.Looks) > 0,
			f == CrashAfterOutcome && len(c.Promotions)+len(c.Refusals) > 0:
			h.struck = true
			return sim.Unanswered
		}
	}
	switch {
	case h.chance(h.rates.storeRefuses):
		h.count(StoreRefuses)
		h.tracef("%s", StoreRefuses)
		return sim.Refused
	case len(c.Looks) > 0 && h.chance(h.rates.storeUnanswered):
		h.count(StoreUnanswered)
		h.tracef("%s", StoreUnanswered)
		return sim.Unanswered
	}
	return sim.Done
}

// worldFate decides what becomes of a world that is asked for.
func (h *history) worldFate(s sim.Seam) sim.Fate {
	if h.acting != h.newest {
		return sim.Done
	}
	if h.armed != nil {
		switch f := h.armed.fault; {
		case f == CrashBeforeTarget && s == sim.SeamTarget, f == CrashBeforeRouter && s == sim.SeamRouter:
			h.struck = true
			return sim.Refused
		case f == CrashAfterTarget && s == sim.SeamTarget, f == CrashAfterRouter && s == sim.SeamRouter:
			h.struck = true
			return sim.Unanswered
		}
	}
	refused, unanswered := h.rates.routerLoses, h.rates.routerUnanswered
	count := RouterLoses
	if s == sim.SeamTarget {
		refused, unanswered, count = h.rates.targetRefuses, 0, TargetRefuses
	}
	switch {
	case h.chance(refused):
		h.count(count)
		return sim.Refused
	case h.chance(unanswered):
		h.count(RouterUnanswered)
		return sim.Unanswered
	}
	return sim.Done
}

// ack is how long until all of the router's loops have acknowledged a table.
func (h *history) ack() time.Duration {
	if h.chance(h.rates.silent) {
		h.count(RouterSilent)
		return h.short(20 * time.Second)
	}
	return h.short(100 * time.Millisecond)
}
