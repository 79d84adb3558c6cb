package controller

import (
	"context"
	"fmt"
	"slices"

	"titrate/internal/manifest"
	"titrate/internal/rollout"
)

// proposal is a change in the making: what is delivered, and what follows for
// each workload. It lives within one call of the writer.
type proposal struct {
	memory    *memory
	urgent    bool
	by        string
	release   rollout.ReleaseRecord
	change    rollout.Change
	delivered Delivered
	moving    []rollout.VersionRecord // of the environment at hand: candidates that need a rollout
	// concurrency tells how many instances of a function's stable version are at work (R5).
	concurrency func(rollout.Key) int
}

func (c *Controller) proposal(app, who string) *proposal {
	return &proposal{
		memory: c.memory, by: who, change: rollout.Change{At: c.now()}, delivered: Delivered{App: app}, concurrency: c.concurrency,
	}
}

// service takes over what the manifest says of a service and proposes the version
// that follows.
func (p *proposal) service(e manifest.Environment, s manifest.Service, a rollout.Artifact, secrets, accessories map[string]string) {
	k := rollout.Key{App: e.App, Env: e.Name, Workload: s.Name}
	w := p.memory.peek(k)
	w.Release, w.Orphaned = p.release.Number, 0
	before := w.Settings
	w.Settings = settingsOf(s)
	for _, group := range e.Groups() {
		if len(group) > 1 && slices.Contains(group, s.Name) {
			w.Settings.Together = group
		}
	}
	at := len(p.change.Workloads)
	p.change.Workloads = append(p.change.Workloads, w.WorkloadRecord)
	what := p.propose(w, rollout.VersionRecord{
		Key: k, Release: p.release.Number, Commit: p.release.CommitOf(repoOf(e.App, s)), Artifact: a, Config: configOf(e, s, secrets, accessories),
	})
	p.change.Workloads[at].Settings.Asked = p.delivered.Workloads[len(p.delivered.Workloads)-1].Version
	if what != Unchanged && w.Stable != 0 {
		p.change.Workloads[at].Settings.Before = spared(before, w.Settings)
	}
}

// propose finds out what a wanted version means for its workload: nothing (R1),
// a rollout, or that it stays behind on purpose (R9).
func (p *proposal) propose(w *work, v rollout.VersionRecord) EffectKind {
	v.Digest, v.Refused, v.Ended, v.Made = digestOf(v), "", "", p.change.At
	e := Effect{Key: v.Key, Stable: w.Stable}
	switch known, open := w.sameAs(v.Digest), p.memory.unfinished(v.Key); {
	case open != nil && w.candidateOf(open) != nil && w.candidateOf(open).Digest == v.Digest && !p.hurries(open):
		e.What, e.Version, e.Rollout = InProgress, w.candidateOf(open).Number, open.Plan.Rollout
	case open == nil && w.stable() != nil && w.stable().Digest == v.Digest:
		e.What, e.Version = Unchanged, w.Stable
	case known != nil && known.Refused != "":
		e.What, e.Version, e.Why, e.Again = Behind, known.Number, known.Refused, again(v.Key, known.Number)
	case known != nil && known.Number == w.Newest:
		// It has been superseded, or promoted before what is under way now: the
		// same version may be tried again.
		e.What, e.Version = Opens, known.Number
		p.moving = append(p.moving, *known)
	default:
		v.Number = w.Newest + 1
		e.What, e.Version, e.Changed = Opens, v.Number, changed(w.base(), v)
		p.change.Versions = append(p.change.Versions, v)
		p.newest(v)
		p.moving = append(p.moving, v)
	}
	if e.What == Opens {
		e.Why = w.downtime(v)
	}
	p.delivered.Workloads = append(p.delivered.Workloads, e)
	return e.What
}

// newest notes the number given to v in the record that will be stored.
func (p *proposal) newest(v rollout.VersionRecord) {
	for i := range p.change.Workloads {
		if p.change.Workloads[i].Key == v.Key {
			p.change.Workloads[i].Newest = v.Number
			return
		}
	}
	record := p.memory.works[v.Key].WorkloadRecord
	record.Newest = v.Number
	p.change.Workloads = append(p.change.Workloads, record)
}

// open opens a rollout for each group of the environment that has something to
// move (R23), by the plan that the manifest has now (R4).
func (p *proposal) open(e manifest.Environment) error {
	moving := p.moving
	p.moving = nil
	if len(moving) == 0 {
		return nil
	}
	if err := p.rejected(e, moving); err != nil {
		return err
	}
	var groups [][]string
	for _, group := range e.Groups() {
		if behind := p.behind(e.Name, group); behind != nil {
			p.stay(e.Name, group, *behind)
			continue
		}
		groups = append(groups, group)
	}
	if e.Overlap == rollout.OverlapSupersede || p.urgent {
		moving = p.takeOver(groups, moving)
	}
	for _, group := range groups {
		var names []string
		for _, v := range moving {
			if slices.Contains(group, v.Key.Workload) {
				names = append(names, v.Key.Workload)
			}
		}
		if len(names) > 0 {
			plan := e.Plan(names...)
			plan.Urgent = p.urgent || p.replacesUrgent(plan)
			p.start(plan, moving)
		}
	}
	return nil
}

// takeOver adds to what moves the other members of the rollouts that will give way
// to it: with those they would be lost (R3, R23).
func (p *proposal) takeOver(groups [][]string, moving []rollout.VersionRecord) []rollout.VersionRecord {
	names := slices.Concat(groups...)
	for at := 0; at < len(moving); at++ { // it grows
		if !slices.Contains(names, moving[at].Key.Workload) {
			continue
		}
		for _, l := range p.memory.byKey[moving[at].Key] {
			if l.State.Over() || l.Plan.Kind == rollout.Rollback { // which does not give way
				continue
			}
			for i, m := range l.Plan.Members {
				k := l.Plan.Key(i)
				if v := p.memory.works[k].versions[m.Candidate]; v != nil && slices.Contains(names, m.Workload) &&
					p.memory.unfinished(k) == l && p.opensAgain(*v) {
					moving = append(moving, *v)
				}
			}
		}
	}
	return moving
}

// opensAgain has a version that is in progress move with this proposal, and reports
// whether it does: not if the proposal says anything else of its workload.
func (p *proposal) opensAgain(v rollout.VersionRecord) bool {
	for i := range p.delivered.Workloads {
		if e := &p.delivered.Workloads[i]; e.Key == v.Key {
			again := e.What == InProgress
			if again {
				e.What, e.Rollout = Opens, 0
			}
			return again
		}
	}
	p.delivered.Workloads = append(p.delivered.Workloads, Effect{Key: v.Key, What: Opens, Version: v.Number, Stable: p.memory.works[v.Key].Stable})
	return true
}

// hurries reports whether a rollout that waits is to be opened again, because it
// is urgent now (R3).
func (p *proposal) hurries(waits *live) bool {
	return p.urgent && waits.State.Phase == rollout.Queued && !waits.Plan.Urgent
}

// replacesUrgent reports whether a rollout by plan takes the place of an urgent one
// that waits: what that one was to end must not go on for it (R3).
func (p *proposal) replacesUrgent(plan rollout.Plan) bool {
	if plan.Overlap == rollout.OverlapQueue {
		return false
	}
	for i := range plan.Members {
		for _, o := range p.memory.byKey[plan.Key(i)] {
			if o.State.Phase == rollout.Queued && o.Plan.Urgent && covers(plan, o.Plan) {
				return true
			}
		}
	}
	return false
}

// again is how a version that is refused is named to try it again. Without its number it
// would be whatever its workload moved to last, such as what it was rolled back to.
func again(k rollout.Key, v rollout.Version) string {
	return fmt.Sprintf("%s/%s@%s", k.App, k.Workload, v)
}

// behind is a workload of a group whose wanted version is refused, or nil: the group
// moves as a whole or not at all (R9, R23).
func (p *proposal) behind(env string, group []string) *Effect {
	for i := range p.delivered.Workloads {
		if e := &p.delivered.Workloads[i]; e.What == Behind && e.Key.Env == env && slices.Contains(group, e.Key.Workload) {
			return e
		}
	}
	return nil
}

// stay says of what would have moved with a refused version that it waits for a
// better one.
func (p *proposal) stay(env string, group []string, behind Effect) {
	for i := range p.delivered.Workloads {
		if e := &p.delivered.Workloads[i]; e.What == Opens && e.Key.Env == env && slices.Contains(group, e.Key.Workload) {
			e.What, e.Why, e.Again = Behind, fmt.Sprintf("it moves together with %s, whose version is refused", behind.Key.Workload), behind.Again
		}
	}
}

// rejected refuses a delivery into an environment whose overlap says so (R3).
func (p *proposal) rejected(e manifest.Environment, moving []rollout.VersionRecord) error {
	if e.Overlap != rollout.OverlapReject || p.urgent {
		return nil
	}
	for _, v := range moving {
		if open := p.memory.unfinished(v.Key); open != nil {
			return problem(Rejected, fmt.Sprintf("titrate rollout watch %s -e %s", e.App, e.Name),
				"%s of %s is still being rolled out in %s, and overlap is reject", open.Plan.Release, v.Key.Workload, e.Name)
		}
	}
	return nil
}

// start opens a rollout by plan, whose members' candidates are among versions.
func (p *proposal) start(plan rollout.Plan, versions []rollout.VersionRecord) rollout.Record {
	plan.Rollout = p.memory.rollout + int64(len(p.change.Opened)) + 1
	for i := range plan.Members {
		for _, v := range versions {
			if v.Key.Workload == plan.Members[i].Workload {
				plan.Members[i].Candidate, plan.Members[i].Worker = v.Number, v.Config.Worker
				if v.Config.Function != nil {
					plan.Members[i].Function, plan.Members[i].Instances = true, max(1, p.concurrency(v.Key))
				}
				if v.Config.Volumes.Exclusive() {
					plan.Members[i].Instances = 1 // an older version's, whatever the scale is now (R31)
				}
				plan.Release = max(plan.Release, v.Release)
			}
		}
	}
	return p.opened(rollout.Record{Plan: plan})
}

func (p *proposal) opened(r rollout.Record) rollout.Record {
	r.State, r.Revision, r.Opened, r.By = rollout.New(r.Plan, p.change.At), 1, p.change.At, p.by
	p.change.Opened = append(p.change.Opened, r)
	p.change.Events = append(p.change.Events, moved(rollout.EventOpened, r.Plan, r.State, p.change.At))
	p.delivered.Rollouts = append(p.delivered.Rollouts, r.Plan.Rollout)
	for i := range p.delivered.Workloads {
		if e := &p.delivered.Workloads[i]; e.What == Opens && e.Key.Env == r.Plan.Env && slices.ContainsFunc(r.Plan.Members, func(m rollout.Member) bool {
			return m.Workload == e.Key.Workload
		}) {
			e.Rollout = r.Plan.Rollout
		}
	}
	return r
}

// orphan marks the workloads that the manifest names no more. They run on, with
// their traffic, until a person removes them (R28). A push speaks for the
// environments that it releases to. That a whole environment is gone is for the
// default branch to say: another may never have known it.
func (p *proposal) orphan(d Delivery, envs []manifest.Environment) {
	for _, w := range p.memory.in(d.App.Name, "") {
		e, named := d.App.Environment(w.Key.Env)
		if !released(envs, w.Key.Env) && (named || !d.Default) {
			continue
		}
		if _, there := e.Service(w.Key.Workload); there {
			continue
		}
		p.delivered.Workloads = append(p.delivered.Workloads, Effect{
			Key: w.Key, What: Orphaned, Version: w.Stable, Stable: w.Stable, Why: "titrate.yaml names it no more; it runs on until it is removed",
		})
		if w.Orphaned != 0 {
			continue
		}
		record := w.WorkloadRecord
		record.Orphaned = p.release.Number
		p.change.Workloads = append(p.change.Workloads, record)
		p.change.Events = append(p.change.Events, rollout.Event{
			At: p.change.At, Kind: rollout.EventOrphaned, App: w.Key.App, Env: w.Key.Env, Workload: w.Key.Workload, Release: p.release.Number,
		})
	}
}

// group opens rollouts for what is moving without a manifest at hand: each by the
// plan of the release that named its workload last.
func (c *Controller) group(ctx context.Context, p *proposal) error {
	moving := p.moving
	byRelease := map[rollout.Release][]rollout.VersionRecord{}
	for _, v := range moving {
		named := p.memory.works[v.Key].Release
		byRelease[named] = append(byRelease[named], v)
	}
	for _, named := range sortedKeys(byRelease) {
		e, err := c.environment(ctx, p.delivered.App, byRelease[named][0].Key.Env, named)
		if err != nil {
			return err
		}
		p.moving = byRelease[named]
		if err := p.open(e); err != nil {
			return err
		}
	}
	return nil
}

// environment reads an environment as a release's manifest describes it.
func (c *Controller) environment(ctx context.Context, app, env string, n rollout.Release) (manifest.Environment, error) {
	r, err := c.Store.Release(ctx, app, n)
	if err != nil {
		return manifest.Environment{}, fmt.Errorf("read release %s of %s: %w", n, app, err)
	}
	parsed, problems := manifest.Parse(r.Manifest, "titrate.yaml", r.Folders...)
	if err := problems.Err(); err != nil {
		return manifest.Environment{}, fmt.Errorf("manifest of %s %s: %w", app, n, err)
	}
	e, ok := parsed.Environment(env)
	if !ok {
		return e, problem(NotFound, "", "%s of %s has no environment %s", n, app, env)
	}
	return e, nil
}
