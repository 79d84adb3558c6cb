package controller

import (
	"context"
	"fmt"

	"titrate/internal/rollout"
)

// Command asks something of a rollout. When it returns, the command is durable:
// it is carried out, or refused with a reason in the rollout's state, even if the
// server dies now. An abort of what has ended does nothing (R6); a retry of it
// opens a new rollout, which is returned.
func (c *Controller) Command(ctx context.Context, id int64, cmd rollout.Command) (rollout.Record, error) {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	l := c.memory.live[id]
	if l == nil || l.State.Over() {
		r, err := c.Store.Rollout(ctx, id)
		if err != nil {
			return r, unknown(err, "titrate history", "there is no rollout %d", id)
		}
		return c.commandEnded(ctx, r, cmd)
	}
	cmd.ID = c.memory.command + 1
	now := c.now()
	e := moved(rollout.EventCommand, l.Plan, l.State, now)
	e.Data = encode(cmd)
	err := c.commit(ctx, rollout.Change{
		At: now, Commands: []rollout.Asked{{Rollout: id, At: now, Command: cmd}}, Events: []rollout.Event{e},
	})
	if err != nil {
		return l.Record, fmt.Errorf("store the command: %w", err)
	}
	wake(c.nudge)
	return l.Record, nil
}

// commandEnded answers what was asked of a rollout whose outcome is known.
func (c *Controller) commandEnded(ctx context.Context, r rollout.Record, cmd rollout.Command) (rollout.Record, error) {
	switch cmd.Verb {
	case rollout.Abort:
		return r, nil
	case rollout.Retry:
		return c.retry(ctx, r, cmd.By, cmd.Step)
	case rollout.PauseVerb, rollout.Resume, rollout.Promote, rollout.PromoteFull, rollout.SetWeight:
		return r, problem(Conflict, "titrate rollout retry", "rollout %d has ended: %s", r.Plan.Rollout, r.State.Outcome)
	default:
		return r, problem(Invalid, "", "%q is nothing that a rollout can be asked", cmd.Verb)
	}
}

// retry opens a new attempt of a rollout that has ended: the same versions by the
// same plan, from step from, judged only on what is measured after it began (R7).
// How many instances carry the traffic may have changed since (R5). It is how a
// refused version is tried again (R9).
func (c *Controller) retry(ctx context.Context, old rollout.Record, who string, from int) (rollout.Record, error) {
	if from < 0 || from >= len(old.Plan.Steps) {
		return old, problem(Invalid, "", "the plan has %d steps", len(old.Plan.Steps))
	}
	p := c.proposal(old.Plan.App, who)
	plan := old.Plan
	plan.Members = append([]rollout.Member(nil), old.Plan.Members...)
	plan.Rollout, plan.Attempt, plan.From = p.memory.rollout+1, max(old.State.Attempt, 1)+1, from
	for i, m := range plan.Members {
		k := plan.Key(i)
		w := p.memory.works[k]
		switch {
		case w == nil || !w.named:
			return old, problem(Conflict, "", "%s has been removed", k)
		case p.memory.unfinished(k) != nil:
			return old, problem(Conflict, "titrate rollout watch", "rollout %d of %s is in progress", p.memory.unfinished(k).Plan.Rollout, k.Workload)
		case w.Stable == m.Candidate:
			return old, problem(Conflict, "", "%s of %s is stable already", m.Candidate, k.Workload)
		}
		if err := c.kept(w, m.Candidate); err != nil {
			return old, err
		}
		if v := w.versions[m.Candidate]; v != nil && v.Refused != "" && plan.Kind != rollout.Rollback {
			p.change.Refusals = append(p.change.Refusals, rollout.Refusal{Key: k, Version: m.Candidate})
		}
		plan.Members[i].Instances = w.Settings.Instances
	}
	r := p.opened(rollout.Record{Plan: plan, Retries: old.Plan.Rollout})
	_, err := c.finish(ctx, p)
	return r, err
}

// kept reports, as an error, that a version cannot run any more.
func (c *Controller) kept(w *work, n rollout.Version) error {
	v := w.versions[n]
	if v == nil || c.Kept != nil && !c.Kept(v.Artifact.Digest) {
		return problem(NotFound, "push its commit again", "the artifact of %s %s is no longer kept", w.Key.Workload, n)
	}
	return nil
}
