package controller

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"titrate/internal/manifest"
	"titrate/internal/rollout"
)

// Delivery is a commit that has been built and is to be released.
type Delivery struct {
	App      manifest.App
	Manifest []byte   // as pushed
	Folders  []string // of the commit, those with code, when patterns in the manifest name functions
	Repo     string   // of the commit; empty: the app's own
	Commit   string
	Sources  map[string]string // the commit of each repository, when there are further ones
	Message  string
	Author   string
	Branch   string
	Default  bool                        // Branch is the repository's default branch
	Urgent   bool                        // supersedes what runs (R3)
	By       string                      // the person or push
	Envs     []string                    // asked for by name; empty: those that take the branch
	Artifact map[string]rollout.Artifact // by workload
}

// Delivered is what came of a delivery.
type Delivered struct {
	App         string            `json:"app"`
	Release     rollout.Release   `json:"release"`
	Envs        []string          `json:"environments"`
	Workloads   []Effect          `json:"workloads"` // in each environment's order
	Accessories []AccessoryEffect `json:"accessories,omitempty"`
	Rollouts    []int64           `json:"rollouts,omitempty"`
}

// Effect is what a delivery means for one workload of an environment.
type Effect struct {
	Key     rollout.Key     `json:"key"`
	What    EffectKind      `json:"what"`
	Version rollout.Version `json:"version"` // the one that is meant
	Stable  rollout.Version `json:"stable"`
	Rollout int64           `json:"rollout,omitempty"` // that moves it
	Why     string          `json:"why,omitempty"`
	Again   string          `json:"again,omitempty"`   // what a retry of lets it go on, where it stays behind: "cofe/orders@v3"
	Changed []string        `json:"changed,omitempty"` // what differs from the version before: "artifact", "env LOG_LEVEL", "secret KEY"
}

// EffectKind says what a delivery does to a workload.
type EffectKind string

// The effects.
const (
	Opens      EffectKind = "opens"       // a rollout begins, or waits for its turn
	Unchanged  EffectKind = "unchanged"   // what is stable is what was delivered (R1)
	InProgress EffectKind = "in-progress" // a rollout of the same version is under way
	Behind     EffectKind = "behind"      // the version is refused: behind on purpose (R9)
	Orphaned   EffectKind = "orphaned"    // the manifest names it no more; it runs on until removed (R28)
)

// Deliver writes the release down and opens a rollout for each workload that
// changed, in one transaction. Nothing is written when an environment rejects it.
func (c *Controller) Deliver(ctx context.Context, d Delivery) (Delivered, error) {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	p, err := c.delivery(ctx, d)
	if err != nil {
		return Delivered{}, err
	}
	if err := c.credentials(ctx, p); err != nil {
		return Delivered{}, err
	}
	return c.finish(ctx, p)
}

// Diff says what Deliver would do, and does nothing. Workloads without an artifact
// in d are taken to have been built as they run now, new ones to have one.
func (c *Controller) Diff(ctx context.Context, d Delivery) (Delivered, error) {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	d.Artifact = maps.Clone(d.Artifact)
	c.mu.RLock()
	for _, e := range d.App.Environments {
		for _, s := range e.Services {
			v, _ := c.memory.newest(rollout.Key{App: d.App.Name, Env: e.Name, Workload: s.Name})
			if _, built := d.Artifact[s.Name]; built {
				continue
			}
			if d.Artifact == nil {
				d.Artifact = map[string]rollout.Artifact{}
			}
			if v == nil {
				v = &rollout.VersionRecord{}
			}
			d.Artifact[s.Name] = v.Artifact
		}
	}
	d.Artifact = c.memory.pinned(d.App, d.Artifact)
	c.mu.RUnlock()
	p, err := c.delivery(ctx, d)
	if err != nil {
		return Delivered{}, err
	}
	return p.delivered, nil
}

// Refresh makes new versions of what an environment runs where the value of a
// secret has changed since, and rolls them out like any other (R1).
func (c *Controller) Refresh(ctx context.Context, app, env, who string) (Delivered, error) {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	p := c.proposal(app, who)
	works := p.memory.in(app, env)
	if len(works) == 0 {
		return p.delivered, nil
	}
	p.delivered.Envs = []string{env}
	for _, w := range works {
		base := w.base()
		if base == nil || len(base.Config.Secrets)+len(base.Config.Accessories) == 0 || w.Orphaned != 0 {
			continue
		}
		v, err := c.byHand(ctx, p, *base)
		if err != nil {
			return Delivered{}, err
		}
		digests, err := c.digests(ctx, app, env, slices.Sorted(maps.Keys(v.Config.Secrets)))
		if err != nil {
			return Delivered{}, err
		}
		if maps.Equal(digests, base.Config.Secrets) {
			continue
		}
		v.Config.Secrets = digests
		p.delivered.Release = max(p.delivered.Release, v.Release)
		p.propose(w, v)
	}
	if err := c.group(ctx, p); err != nil {
		return Delivered{}, err
	}
	return c.finish(ctx, p)
}

// delivery works out what d changes. The caller is the writer.
func (c *Controller) delivery(ctx context.Context, d Delivery) (*proposal, error) {
	envs, err := d.environments()
	if err != nil {
		return nil, err
	}
	if _, err := c.logins(ctx, d.App, envs); err != nil {
		return nil, err
	}
	p := c.proposal(d.App.Name, d.By)
	p.urgent = d.Urgent
	if err := c.release(ctx, p, d); err != nil {
		return nil, err
	}
	for _, e := range envs {
		p.delivered.Envs = append(p.delivered.Envs, e.Name)
		given, err := c.accessories(ctx, p, e, d.Artifact)
		if err != nil {
			return nil, err
		}
		digests, err := c.digests(ctx, d.App.Name, e.Name, slices.DeleteFunc(secretNames(e), func(name string) bool { return given[name] != "" }))
		if err != nil {
			return nil, err
		}
		for _, s := range e.Services {
			a, built := d.Artifact[s.Name]
			if !built {
				return nil, problem(Invalid, "", "%s has no artifact", s.Name)
			}
			if err := p.claimed(d.App, rollout.Key{App: e.App, Env: e.Name, Workload: s.Name}, settingsOf(s), envs); err != nil {
				return nil, err
			}
			p.service(e, s, a, digests, given)
		}
		if err := p.open(e); err != nil {
			return nil, err
		}
	}
	p.orphan(d, envs)
	p.orphanAccessories(d, envs)
	return p, nil
}

// release writes down the release, or takes up the newest one again when it is of
// the same commit and content: it is delivered to another environment then.
func (c *Controller) release(ctx context.Context, p *proposal, d Delivery) error {
	newest := p.memory.releases[d.App.Name]
	if newest != 0 {
		r, err := c.Store.Release(ctx, d.App.Name, newest)
		if err != nil {
			return fmt.Errorf("read the newest release: %w", err)
		}
		if r.Commit == d.Commit && maps.Equal(r.Sources, d.Sources) && bytes.Equal(r.Manifest, d.Manifest) && slices.Equal(r.Folders, d.Folders) && reflect.DeepEqual(r.Artifacts, d.Artifact) {
			p.release, p.delivered.Release = r, r.Number
			return nil
		}
	}
	p.release = rollout.ReleaseRecord{
		App: d.App.Name, Number: newest + 1, Repo: d.Repo, Commit: d.Commit, Sources: d.Sources, Message: d.Message, Author: d.Author,
		Branch: d.Branch, Default: d.Default, At: p.change.At, Manifest: d.Manifest, Folders: d.Folders, Artifacts: d.Artifact, Urgent: d.Urgent,
	}
	p.delivered.Release = p.release.Number
	p.change.Releases = append(p.change.Releases, p.release)
	p.change.Events = append(p.change.Events, rollout.Event{
		At: p.change.At, Kind: rollout.EventRelease, App: d.App.Name, Release: p.release.Number,
		Data: encode(map[string]string{"commit": d.Commit, "message": d.Message, "author": d.Author, "branch": d.Branch}),
	})
	return nil
}

// environments returns those that take the delivery: the ones asked for, or the
// ones whose rule takes the branch.
func (d Delivery) environments() ([]manifest.Environment, error) {
	var envs []manifest.Environment
	for _, name := range d.Envs {
		e, ok := d.App.Environment(name)
		if !ok {
			return nil, problem(NotFound, "look at environments: in titrate.yaml", "%s has no environment %q", d.App.Name, name)
		}
		envs = append(envs, e)
	}
	if len(d.Envs) > 0 {
		return envs, nil
	}
	for _, e := range d.App.Environments {
		if takes(e, d.Branch, d.Default) {
			envs = append(envs, e)
		}
	}
	return envs, nil
}

func takes(e manifest.Environment, branch string, isDefault bool) bool {
	byDefault := ""
	if isDefault {
		byDefault = branch
	}
	return branch != "" && e.Deploy.Takes(branch, byDefault)
}

// finish stores a proposal and says what came of it.
func (c *Controller) finish(ctx context.Context, p *proposal) (Delivered, error) {
	if err := c.commit(ctx, p.change); err != nil {
		return Delivered{}, fmt.Errorf("store the release: %w", err)
	}
	wake(c.nudge)
	return p.delivered, nil
}

func (c *Controller) digests(ctx context.Context, app, env string, names []string) (map[string]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	if c.Vault == nil {
		return nil, problem(Unavailable, "", "there is no vault for the secrets of %s", app)
	}
	digests, err := c.Vault.Digests(ctx, app, env, names)
	if err != nil {
		if isNoSecret(err) {
			return nil, problem(Invalid, "", "%v", err) // it names the secrets, and says how to set them
		}
		return nil, fmt.Errorf("digest the secrets of %s in %s: %w", app, env, err)
	}
	return digests, nil
}

func secretNames(e manifest.Environment) []string {
	var names []string
	for _, s := range e.Services {
		names = append(names, s.Secrets...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
