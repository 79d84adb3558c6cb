package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"titrate/internal/controller"
	"titrate/internal/manifest"
	"titrate/internal/rollout"
	"titrate/internal/source"
)

// check is asked before a branch moves: a push without a good manifest is refused
// and changes nothing.
func (s *server) check(ctx context.Context, p source.Push, _ io.Writer) error {
	src, app, err := s.manifest(ctx, p)
	if err != nil {
		return err
	}
	push, err := options(p, app)
	if err != nil {
		return err
	}
	if err := s.hostIsFree(app); err != nil {
		return err
	}
	push.Manifest = src
	return s.admit(ctx, push)
}

// hostIsFree refuses an app that would answer where the server itself does.
func (s *server) hostIsFree(app *manifest.App) error {
	for _, env := range app.Environments {
		for _, svc := range env.Services {
			if s.host != "" && svc.Host == s.host {
				return hostTaken(s.host, "titrate up --host "+s.host, "give "+svc.Name+" another host in "+manifest.File)
			}
		}
	}
	return nil
}

// manifest returns the manifest that a push goes by, as text and read: the commit's
// own, or, of a push to a further repository, that of the release which the push
// builds on, and no text.
func (s *server) manifest(ctx context.Context, p source.Push) ([]byte, *manifest.App, error) {
	if p.Repo != p.App {
		app, err := s.further(ctx, p)
		return nil, app, err
	}
	src, err := p.Tree.File(ctx, manifest.File)
	if errors.Is(err, source.ErrUnknown) {
		return nil, nil, fmt.Errorf("error[T0506]: the commit has no %s in its root\n  help    titrate init writes one; commit it, then push again", manifest.File)
	}
	if err != nil {
		return nil, nil, err
	}
	app, problems := manifest.Parse(src, manifest.File)
	if err := problems.Err(); err != nil {
		return nil, nil, err
	}
	if app.Name != p.App {
		return nil, nil, fmt.Errorf("error[T0507]: the manifest is of app %q, the push is to %q\n  help    git remote set-url titrate …/git/%s.git, or app: %s in %s", app.Name, p.App, app.Name, p.App, manifest.File)
	}
	return src, app, nil
}

// further returns the app whose further repository is pushed to.
func (s *server) further(ctx context.Context, p source.Push) (*manifest.App, error) {
	base, err := s.controller.Base(ctx, p.App, p.Branch)
	if err != nil {
		return nil, err
	}
	if base.Number == 0 {
		return nil, fmt.Errorf("error[T0522]: %s has no release yet that %s could be a part of; nothing has changed\n  help    push the repository with %s first, to …/git/%s.git", p.App, p.Repo, manifest.File, p.App)
	}
	app, problems := manifest.Parse(base.Manifest, manifest.File)
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("read the manifest of %s: %w", base.Number, err)
	}
	if !slices.Contains(controller.Further(app), p.Repo) {
		return nil, fmt.Errorf("error[T0523]: no service of %s is built from the repository %s; nothing has changed\n  where   %s of %s\n  help    services.NAME.repo: %s in the %s of %s", p.App, p.Repo, manifest.File, base.Number, strings.TrimPrefix(p.Repo, p.App+"/"), manifest.File, p.App)
	}
	return app, nil
}

// admit refuses before the build what would be refused after it: a secret that is
// not set, a host of another app, an environment that takes nothing now.
func (s *server) admit(ctx context.Context, p rollout.Push) error {
	err := s.controller.Preview(ctx, p)
	var no *controller.Problem
	if errors.As(err, &no) && !strings.HasPrefix(no.Message, "error[") {
		err = fmt.Errorf("error[T0521]: %w; nothing has changed", err)
	}
	return withHint(err)
}

// options reads what `git push -o` asked for: env=NAME (several times), urgent,
// deploy.
func options(p source.Push, app *manifest.App) (rollout.Push, error) {
	push := rollout.Push{App: p.App, Repo: p.Repo, Commit: p.New, Branch: p.Branch, Default: p.Default, By: p.By, At: p.At}
	for _, o := range p.Options {
		name, value, _ := strings.Cut(o, "=")
		switch name {
		case "env":
			known := func(e manifest.Environment) bool { return e.Name == value }
			if !slices.ContainsFunc(app.Environments, known) {
				return push, fmt.Errorf("error[T0508]: the manifest has no environment %q", value)
			}
			push.Envs = append(push.Envs, value)
		case "urgent":
			push.Urgent = true
		case "deploy": // a folder that stands for the default branch
			push.Default = true
		default:
			return push, fmt.Errorf("error[T0509]: unknown push option %q\n  help    env=NAME or urgent", o)
		}
	}
	return push, nil
}

// withHint adds what to type next to an error that knows it: the source shows an
// error's text and nothing else.
func withHint(err error) error {
	var p *controller.Problem
	if !errors.As(err, &p) || p.Hint == "" || strings.Contains(p.Message, p.Hint) {
		return err
	}
	return fmt.Errorf("%w\n  help    %s", err, p.Hint)
}
