package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"titrate/client"
)

const (
	lookEvery = 100 * time.Millisecond
	// holdFor is how long a rollout must have held at its first step to count as
	// held: several times what the step asks for.
	holdFor = 15 * time.Second
)

// follow shows the rollouts of a release until all are over, and returns that of
// the store.
func (d *demo) follow(ctx context.Context, release int, act Act) (client.Rollout, error) {
	var store client.Rollout
	var arrived time.Time
	disturbed := false
	err := poll(ctx, lookEvery, func() (bool, error) {
		rs, err := d.client.Rollouts(ctx, client.RolloutQuery{App: app, Release: release})
		if err != nil {
			return false, d.bear(err)
		}
		i := slices.IndexFunc(rs, func(r client.Rollout) bool { return r.Members[0].Workload == "store" })
		if i < 0 {
			return false, nil
		}
		store = rs[i]
		d.say.rollout(store, d.versions(ctx))
		if store.Phase == "shifting" && !store.Arrived.IsZero() {
			if arrived.IsZero() {
				arrived = time.Now()
			}
			if !disturbed {
				disturbed = true
				if err := d.disturb(ctx, act); err != nil {
					return false, err
				}
			}
		}
		if act.Expect == "held" && store.Step == 1 && !arrived.IsZero() && time.Since(arrived) > holdFor {
			return true, nil
		}
		return !slices.ContainsFunc(rs, func(r client.Rollout) bool { return !r.Over() }), nil
	})
	if err != nil {
		return store, fmt.Errorf("follow r%d (%s at %g %%: %s): %w", release, store.Phase, store.Weight, store.Why, err)
	}
	d.say.end()
	if act.Then != "" {
		return store, d.then(ctx, release+1)
	}
	return store, nil
}

// bear forgives a server that is not there because it was killed.
func (d *demo) bear(err error) error {
	var refused *client.Problem
	if errors.As(err, &refused) && refused.Status < 500 {
		return err
	}
	return nil
}

// disturb does what the act does in the middle of a rollout.
func (d *demo) disturb(ctx context.Context, act Act) error {
	if act.Kill != "" {
		return d.kill(act.Kill)
	}
	if act.Then != "" {
		d.say.line("▸ git push titrate   in the middle of it   %s", act.Then.Subject())
		_, err := d.push(ctx, act.Then)
		return err
	}
	return nil
}

// then waits for the release that was pushed in the middle of another.
func (d *demo) then(ctx context.Context, release int) error {
	r, err := d.follow(ctx, release, Act{Expect: "promoted"})
	if err != nil {
		return err
	}
	d.res.Acts = append(d.res.Acts, ActResult{
		Release: release, Title: "pushed in the middle", Rollout: r.ID, Outcome: r.Outcome, Why: r.Why, Version: candidate(r), Seconds: r.Since.Sub(r.Opened).Seconds(),
	})
	if r.Outcome != "promoted" {
		d.problem("r%d, pushed in the middle, ended %s: %s", release, r.Outcome, r.Why)
	}
	return nil
}

// versions returns the store's versions as they serve now.
func (d *demo) versions(ctx context.Context) []client.Version {
	a, err := d.client.App(ctx, app)
	if err != nil {
		return nil
	}
	for _, e := range a.Environments {
		for _, w := range e.Workloads {
			if w.Name == "store" {
				return w.Versions
			}
		}
	}
	return nil
}
