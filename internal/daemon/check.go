package daemon

import (
	"bytes"
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
	t, err := s.manifest(ctx, p)
	if err != nil {
		return err
	}
	push, err := options(p, t.app)
	if err != nil {
		return err
	}
	if err := s.hostIsFree(t.app); err != nil {
		return err
	}
	push.Manifest, push.Folders = t.src, t.folders
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

// text is the manifest of a push.
type text struct {
	src     []byte // empty: that of the release which the push builds on
	folders []string
	app     *manifest.App
}

// manifest returns the manifest that a push goes by: the commit's own, or, of a push to
// a further repository, that of the release which the push builds on.
func (s *server) manifest(ctx context.Context, p source.Push) (text, error) {
	if p.Repo != p.App {
		app, err := s.further(ctx, p)
		return text{app: app}, err
	}
	src, err := p.Tree.File(ctx, manifest.File)
	if errors.Is(err, source.ErrUnknown) {
		return text{}, fmt.Errorf("error[T0506]: the commit has no %s in its root\n  help    titrate init writes one; commit it, then push again", manifest.File)
	}
	if err != nil {
		return text{}, err
	}
	t := text{src: src}
	if bytes.Contains(src, []byte("functions")) { // whose patterns name folders
		files, err := p.Tree.Files(ctx)
		if err != nil {
			return text{}, err
		}
		t.folders = manifest.Folders(files)
	}
	app, problems := manifest.Parse(src, manifest.File, t.folders...)
	if err := problems.Err(); err != nil {
		return text{}, err
	}
	if app.Name != p.App {
		return text{}, fmt.Errorf("error[T0507]: the manifest is of app %q, the push is to %q\n  help    git remote set-url titrate …/git/%s.git, or app: %s in %s", app.Name, p.App, app.Name, p.App, manifest.File)
	}
	t.app = app
	return t, nil
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
	app, problems := manifest.Parse(base.Manifest, manifest.File, base.Folders...)
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
