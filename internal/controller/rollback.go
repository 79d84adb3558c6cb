package controller

import (
	"cmp"
	"context"
	"slices"

	"titrate/internal/rollout"
)

// rollbackWindow is how many earlier promoted versions go straight to 100 %; older
// ones take the steps of the plan (R8).
const rollbackWindow = 3

// Scope is what a rollback is asked of: an environment of an app, or one workload
// of it.
type Scope struct {
	App      string
	Env      string
	Workload string // empty: all that the newest promoted release moved; back to a release by name, all that there is
}

// Destination is where a rollback goes: zero is to what was stable before.
type Destination struct {
	Release rollout.Release // each workload to what it was at that release
	Version rollout.Version // one workload to that version
}

// String writes d as it is typed: r41, or v17.
func (d Destination) String() string {
	if d.Release != 0 {
		return d.Release.String()
	}
	return d.Version.String()
}

// RolledBack is what came of asking for a rollback.
type RolledBack struct {
	Aborted   []int64  `json:"aborted,omitempty"` // rollouts that were in progress
	Rollouts  []int64  `json:"rollouts,omitempty"`
	Workloads []Effect `json:"workloads,omitempty"`
}

// Rollback takes a scope back to earlier promoted versions (R8). With a rollout in
// progress there it is an abort of that. Otherwise it opens a rollout which goes
// straight to 100 % once capacity is ready when the versions are among the last
// three promoted, and by the plan's steps when they are older.
func (c *Controller) Rollback(ctx context.Context, s Scope, to Destination, who string) (RolledBack, error) {
	if err := c.reachable(s, to); err != nil {
		return RolledBack{}, err
	}
	aborted, err := c.abortIn(ctx, s, who)
	if err != nil || len(aborted) > 0 {
		return RolledBack{Aborted: aborted}, err
	}
	c.deciding.Lock()
	defer c.deciding.Unlock()
	p := c.proposal(s.App, who)
	works, err := p.memory.scope(s, to)
	if err != nil {
		return RolledBack{}, err
	}
	straight := true
	var none error
	for _, w := range works {
		n, near, err := w.earlier(to)
		if err != nil && s.Workload != "" {
			return RolledBack{}, err
		}
		none = cmp.Or(none, err)
		if n == 0 || n == w.Stable {
			continue // a workload of the environment that has nothing to go back to
		}
		if err := c.kept(w, n); err != nil {
			return RolledBack{}, err
		}
		straight = straight && near
		v := w.versions[n]
		p.moving = append(p.moving, *v)
		p.delivered.Workloads = append(p.delivered.Workloads, Effect{Key: w.Key, What: Opens, Version: n, Stable: w.Stable, Changed: changed(w.stable(), *v), Why: w.downtime(*v)})
	}
	if len(p.moving) == 0 {
		return RolledBack{}, cmp.Or(none, error(problem(Conflict, "titrate history "+s.App, "nothing in %s has been promoted yet", s)))
	}
	if err := c.openBack(ctx, p, straight); err != nil {
		return RolledBack{}, err
	}
	d, err := c.finish(ctx, p)
	return RolledBack{Rollouts: d.Rollouts, Workloads: d.Workloads}, err
}

// reachable refuses a destination that no workload of the scope ever had, before
// anything is aborted on the way to it.
func (c *Controller) reachable(s Scope, to Destination) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	works, err := c.memory.scope(s, to)
	if err != nil || to == (Destination{}) {
		return err
	}
	for _, w := range works {
		if n, _, err := w.earlier(to); err == nil || n != 0 && n == w.Stable {
			return nil
		}
	}
	return problem(NotFound, "titrate history "+s.App, "%s has not been at %s before, or too long ago", s, to)
}

func (s Scope) String() string {
	if s.Workload != "" {
		return s.App + "/" + s.Env + "/" + s.Workload
	}
	return s.App + "/" + s.Env
}

// abortIn aborts what is in progress in a scope.
func (c *Controller) abortIn(ctx context.Context, s Scope, who string) ([]int64, error) {
	c.mu.RLock()
	var ids []int64
	for _, id := range c.memory.order {
		l := c.memory.live[id]
		if !l.State.Over() && l.Plan.App == s.App && l.Plan.Env == s.Env && (s.Workload == "" || l.index(s.Workload) >= 0) {
			ids = append(ids, id)
		}
	}
	c.mu.RUnlock()
	for _, id := range ids {
		if _, err := c.Command(ctx, id, rollout.Command{Verb: rollout.Abort, By: who, Reason: "rollback"}); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// scope returns the workloads that a rollback is about: the one that is named, or
// all that came with the newest promoted release. A release that is named is a
// state of the whole environment.
func (m *memory) scope(s Scope, to Destination) ([]*work, error) {
	works := m.in(s.App, s.Env)
	if s.Workload != "" {
		works = slices.DeleteFunc(works, func(w *work) bool { return w.Key.Workload != s.Workload })
	}
	if len(works) == 0 {
		return nil, problem(NotFound, "titrate status", "there is no %s", s)
	}
	if s.Workload != "" || to.Release != 0 {
		return works, nil
	}
	var newest rollout.Release
	for _, w := range works {
		if v := w.stable(); v != nil {
			newest = max(newest, v.Release)
		}
	}
	return slices.DeleteFunc(works, func(w *work) bool { return w.stable() == nil || w.stable().Release != newest }), nil
}

// earlier returns the version to go back to, and whether it is within the
// rollback window.
func (w *work) earlier(to Destination) (n rollout.Version, near bool, err error) {
	if w.Stable == 0 {
		return 0, false, problem(Conflict, "", "%s has no stable version", w.Key)
	}
	past := w.past()
	switch {
	case to.Version != 0:
		n = to.Version
	case to.Release != 0:
		n = w.at(to.Release)
	default:
		if n, err = w.before(); err != nil {
			return 0, false, err
		}
	}
	if n == w.Stable {
		return n, true, problem(Conflict, "", "%s of %s is stable already", n, w.Key.Workload)
	}
	i := slices.Index(past, n)
	if n == 0 || i < 0 {
		return 0, false, problem(NotFound, "titrate history "+w.Key.App, "%s of %s was never promoted, or too long ago", n, w.Key.Workload)
	}
	return n, i < rollbackWindow, nil
}

// before returns the version that was stable before and is not refused.
func (w *work) before() (n rollout.Version, err error) {
	refused := false
	for _, v := range w.way() {
		switch r := w.versions[v]; {
		case v == w.Stable || r == nil:
		case r.Refused == "":
			n = v
		default:
			refused = true
		}
	}
	switch {
	case n != 0:
		return n, nil
	case refused:
		return 0, problem(Conflict, "titrate rollback "+w.Key.App+"/"+w.Key.Workload+"@v…",
			"what was promoted of %s before %s is refused; name the version to go back to in spite of it", w.Key.Workload, w.Stable)
	}
	return 0, problem(Conflict, "titrate history "+w.Key.App, "nothing of %s was promoted before %s", w.Key.Workload, w.Stable)
}

// past returns the versions promoted before the stable one, each once, the one
// that was stable last first.
func (w *work) past() []rollout.Version {
	var past []rollout.Version
	add := func(v rollout.Version) {
		if v != 0 && v != w.Stable && !slices.Contains(past, v) {
			past = append(past, v)
		}
	}
	for i := len(w.promoted) - 1; i >= 0; i-- {
		add(w.promoted[i].Version)
		add(w.promoted[i].From)
	}
	return past
}

// way returns the versions that led to the stable one, the first of all first and
// the stable one last. Going back to one of them forgets those that came after it.
func (w *work) way() []rollout.Version {
	var way []rollout.Version
	step := func(v rollout.Version) {
		if i := slices.Index(way, v); i >= 0 {
			way = way[:i]
		}
		way = append(way, v)
	}
	for _, p := range w.promoted {
		if p.From != 0 {
			step(p.From)
		}
		step(p.Version)
	}
	return way
}

// at returns the promoted version that a workload had at a release: the newest
// one that the release or an earlier one made.
func (w *work) at(r rollout.Release) rollout.Version {
	var n rollout.Version
	for _, v := range append(w.past(), w.Stable) {
		if record := w.versions[v]; record != nil && record.Release <= r {
			n = max(n, v)
		}
	}
	return n
}

// openBack opens the rollouts of a rollback, by group like any other.
func (c *Controller) openBack(ctx context.Context, p *proposal, straight bool) error {
	if err := c.group(ctx, p); err != nil {
		return err
	}
	for i := range p.change.Opened {
		plan := &p.change.Opened[i].Plan
		plan.Kind = rollout.Rollback
		if straight {
			plan.Strategy, plan.FullCapacity = "rollback", true
			plan.Steps = []rollout.Step{{Weight: rollout.Full}}
		}
	}
	return nil
}
