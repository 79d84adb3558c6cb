package controller

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

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

// retry opens a new attempt of a rollout that has ended: those of its versions that are
// not stable since, as others of its group may have gone back alone; from
// step from, judged only on what is measured after it began (R7), by the plan that
// the manifest has now (R4): a limit that was too tight can have been mended. How
// many instances carry the traffic may have changed since (R5). It is how a refused
// version is tried again (R9).
func (c *Controller) retry(ctx context.Context, old rollout.Record, who string, from int) (rollout.Record, error) {
	p := c.proposal(old.Plan.App, who)
	left := old.Plan
	left.Members = slices.DeleteFunc(slices.Clone(left.Members), func(m rollout.Member) bool {
		w := p.memory.works[rollout.Key{App: left.App, Env: left.Env, Workload: m.Workload}]
		return w != nil && w.named && w.Stable == m.Candidate
	})
	if len(left.Members) == 0 {
		return old, p.memory.nothingLeft(old.Plan)
	}
	plan := c.planAgain(ctx, p, left)
	if from < 0 || from >= len(plan.Steps) {
		return old, problem(Invalid, "", "the plan has %d steps", len(plan.Steps))
	}
	plan.Rollout, plan.Attempt, plan.From = p.memory.rollout+1, max(old.State.Attempt, 1)+1, from
	plan.Ran = ranBefore(old, plan)
	for i, m := range plan.Members {
		k := plan.Key(i)
		w := p.memory.works[k]
		switch {
		case w == nil || !w.named:
			return old, problem(Conflict, "", "%s has been removed", k)
		case p.memory.unfinished(k) != nil:
			return old, problem(Conflict, "titrate rollout watch", "rollout %d of %s is in progress", p.memory.unfinished(k).Plan.Rollout, k.Workload)
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

// nothingLeft says that all versions of a rollout are stable, and which was refused since,
// as by a way back to these: that one may be meant.
func (m *memory) nothingLeft(p rollout.Plan) error {
	hint, k, v := "", p.Key(0), p.Members[0].Candidate
	for i := range p.Members {
		if w := m.works[p.Key(i)]; hint == "" && w != nil {
			if n := w.refused(); n != 0 {
				hint = "titrate rollout retry " + again(w.Key, n) + " --env " + p.Env
			}
		}
	}
	return problem(Conflict, hint, "%s of %s is stable already", v, k.Workload)
}

// refused is the version that is wanted and not tried again by itself, or else the
// newest if it is not; 0: there is none.
func (w *work) refused() rollout.Version {
	for _, n := range []rollout.Version{w.Settings.Asked, w.Newest} {
		if v := w.versions[n]; v != nil && v.Refused != "" && n != w.Stable {
			return n
		}
	}
	return 0
}

// planAgain is the plan for another attempt at a rollout's versions: that of the
// newest release, or its own where that release does not move just these workloads
// together, has made a worker of one, or cannot be read; and where it goes back.
func (c *Controller) planAgain(ctx context.Context, p *proposal, old rollout.Plan) rollout.Plan {
	own := old
	own.Members = slices.Clone(old.Members)
	var names []string
	var newest rollout.Release
	for i, m := range old.Members {
		w := p.memory.works[old.Key(i)]
		if old.Kind == rollout.Rollback || w == nil || w.Orphaned != 0 {
			return own
		}
		names, newest = append(names, m.Workload), max(newest, w.Release)
	}
	e, err := c.environment(ctx, old.App, old.Env, newest)
	if err != nil {
		c.Log.Warn("a retry goes by its own plan", slog.Int64("rollout", old.Rollout), slog.Any("error", err))
		return own
	}
	if !slices.ContainsFunc(e.Groups(), func(group []string) bool { return holds(group, names) }) {
		return own
	}
	plan := e.Plan(names...)
	plan.Release = old.Release
	for i := range plan.Members {
		m := &plan.Members[i]
		at := slices.IndexFunc(old.Members, func(o rollout.Member) bool { return o.Workload == m.Workload })
		m.Candidate = old.Members[at].Candidate
		if v := p.memory.works[plan.Key(i)].versions[m.Candidate]; v != nil && v.Config.Worker != m.Worker {
			return own
		}
	}
	return plan
}

// holds reports whether every name is in group.
func holds(group, names []string) bool {
	return !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(group, n) })
}

// ranBefore returns the release hooks that a rollout asked for, by the members of
// the plan that tries it again (R24).
func ranBefore(old rollout.Record, plan rollout.Plan) []rollout.HookRecord {
	var ran []rollout.HookRecord
	for _, h := range old.State.Hooks {
		workload := old.Plan.Members[h.Member].Workload
		i := slices.IndexFunc(plan.Members, func(m rollout.Member) bool { return m.Workload == workload })
		if h.Kind == rollout.HookRelease && i >= 0 {
			h.Member = i
			ran = append(ran, h)
		}
	}
	return ran
}

// kept reports, as an error, that a version cannot run any more.
func (c *Controller) kept(w *work, n rollout.Version) error {
	v := w.versions[n]
	if v == nil || c.Kept != nil && !c.Kept(v.Artifact.Digest) {
		return problem(NotFound, "push its commit again", "the artifact of %s %s is no longer kept", w.Key.Workload, n)
	}
	return nil
}
