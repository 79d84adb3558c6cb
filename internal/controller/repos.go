package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"titrate/internal/manifest"
	"titrate/internal/rollout"
)

// An app has a repository of its own, with titrate.yaml in it, and may have further
// ones from which some of its services are built. A push to one of these is the
// newest release of the branch with that repository's part made anew.

// repoOf returns the repository that a service is built from.
func repoOf(app string, s manifest.Service) string {
	if s.Repo == "" {
		return app
	}
	return app + "/" + s.Repo
}

// Further returns the repositories beside an app's own from which its services are
// built, by name.
func Further(app *manifest.App) []string {
	var all []string
	for _, e := range app.Environments {
		for _, s := range e.Services {
			if s.Repo != "" {
				all = append(all, repoOf(app.Name, s))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// own reports whether a push is to the repository with the manifest.
func own(p rollout.Push) bool { return p.Repo == "" || p.Repo == p.App }

// mostReleases bounds how far [Controller.Base] looks back.
const mostReleases = 1000

// Base returns the release that a push to a branch builds on: the newest of that
// branch, or else of the default one, or else the newest. Its Number is 0 when the
// app has none.
func (c *Controller) Base(ctx context.Context, app, branch string) (rollout.ReleaseRecord, error) {
	c.mu.RLock()
	newest := c.memory.releases[app]
	c.mu.RUnlock()
	var base rollout.ReleaseRecord
	for n := newest; n > 0 && n > newest-mostReleases; n-- {
		r, err := c.Store.Release(ctx, app, n)
		switch {
		case errors.Is(err, rollout.ErrUnknown): // forgotten, as all before it
			return base, nil
		case err != nil:
			return base, fmt.Errorf("read release %s of %s: %w", n, app, err)
		case r.Branch == branch:
			return r, nil
		case base.Number == 0, r.Default && !base.Default:
			base = r
		}
	}
	return base, nil
}

// gather returns what a push asks to be delivered, without artifacts, and the
// release that it builds on.
func (c *Controller) gather(ctx context.Context, p rollout.Push) (Delivery, rollout.ReleaseRecord, error) {
	base, err := c.Base(ctx, p.App, p.Branch)
	if err != nil {
		return Delivery{}, base, err
	}
	text, folders := p.Manifest, p.Folders
	if !own(p) {
		text, folders = base.Manifest, base.Folders
	}
	app, problems := manifest.Parse(text, manifest.File, folders...)
	if err := problems.Err(); err != nil {
		return Delivery{}, base, &Problem{Kind: Invalid, Message: err.Error(), Hint: "titrate validate"}
	}
	if !own(p) && !slices.Contains(Further(app), p.Repo) {
		return Delivery{}, base, problem(Invalid, "", "no service of %s is built from the repository %s any more", p.App, p.Repo)
	}
	d := Delivery{
		App: *app, Manifest: text, Folders: folders, Commit: p.Commit, Message: p.Message, Author: p.Author, Branch: p.Branch,
		Default: p.Default, Urgent: p.Urgent, By: p.By, Envs: p.Envs, Sources: sources(app, p, base),
	}
	if !own(p) {
		d.Repo = p.Repo
	}
	return d, base, nil
}

// Preview says what a push would do if it were built, and does nothing: it fails as
// the push would.
func (c *Controller) Preview(ctx context.Context, p rollout.Push) error {
	d, _, err := c.gather(ctx, p)
	if err == nil {
		_, err = c.Diff(ctx, d)
	}
	return err
}

// sources returns the commit of each repository that an app names: the pushed one,
// that of the release which is built on, or else where the repository stands. It is
// nil for an app with one repository; one that nobody has pushed to is not in it.
func sources(app *manifest.App, p rollout.Push, base rollout.ReleaseRecord) map[string]string {
	further := Further(app)
	if len(further) == 0 {
		return nil
	}
	all := map[string]string{}
	for _, repo := range further {
		if commit := cmp.Or(base.Sources[repo], p.Heads[repo]); commit != "" {
			all[repo] = commit
		}
	}
	all[app.Name] = base.CommitOf(app.Name)
	if own(p) {
		all[app.Name] = p.Commit
	} else {
		all[p.Repo] = p.Commit
	}
	return all
}

// commitOf returns the commit of one of the repositories.
func (d Delivery) commitOf(repo string) string {
	if d.Sources == nil {
		return d.Commit
	}
	return d.Sources[repo]
}

// parts is what is to be done for each service of a delivery.
type parts struct {
	build   map[string][]manifest.Service // by repository
	kept    map[string]rollout.Artifact   // of the release that is built on, by workload
	waiting []manifest.Service            // nobody has pushed to their repository
}

// parts tells the services that are built from those that stay as base has them: a
// push to a further repository builds what it owns.
func (d Delivery) parts(all []manifest.Service, base rollout.ReleaseRecord) parts {
	p := parts{build: map[string][]manifest.Service{}, kept: map[string]rollout.Artifact{}}
	for _, s := range all {
		repo := repoOf(d.App.Name, s)
		before, there := base.Artifacts[s.Name]
		others := d.Repo != "" && d.Repo != repo
		switch known := d.commitOf(repo) != ""; {
		case there && (others || !known):
			p.kept[s.Name] = before
		case known:
			p.build[repo] = append(p.build[repo], s)
		default:
			p.waiting = append(p.waiting, s)
		}
	}
	return p
}

// without returns the app without a service.
func without(app manifest.App, name string) manifest.App {
	app.Together = fewer(app.Together, name)
	app.Environments = slices.Clone(app.Environments)
	for i := range app.Environments {
		e := &app.Environments[i]
		e.Together = fewer(e.Together, name)
		e.Services = slices.DeleteFunc(slices.Clone(e.Services), func(s manifest.Service) bool { return s.Name == name })
	}
	return app
}

// fewer returns groups of workloads without one of these.
func fewer(groups [][]string, name string) [][]string {
	var out [][]string
	for _, g := range groups {
		if g = slices.DeleteFunc(slices.Clone(g), func(w string) bool { return w == name }); len(g) > 0 {
			out = append(out, g)
		}
	}
	return out
}
