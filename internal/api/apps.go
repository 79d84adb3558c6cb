package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"titrate/client"
	"titrate/internal/controller"
	"titrate/internal/manifest"
	"titrate/internal/rollout"
	"titrate/internal/store"
)

// body is an answer with nothing beside it.
type body[T any] struct{ Body T }

// AppPath is the part of an address that names an app. Huma reads parameters of
// embedded structs only where their type's name is exported.
type AppPath struct {
	App string `path:"app" maxLength:"64" doc:"name of the app"`
}

// operation describes one call; its id is how generated clients name it.
func operation(method, path, id, summary string) huma.Operation {
	return huma.Operation{Method: method, Path: "/api/v1" + path, OperationID: id, Summary: summary, Errors: []int{401, 404, 422, 500}}
}

// handle makes a handler of huma's shape, with errors as problems.
func handle[I, O any](s *server, do func(context.Context, *I) (O, error)) func(context.Context, *I) (*body[O], error) {
	return func(ctx context.Context, in *I) (*body[O], error) {
		out, err := do(ctx, in)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return &body[O]{out}, nil
	}
}

func (s *server) registerApps(api huma.API) {
	huma.Register(api, operation(http.MethodGet, "/server", "server", "What the server is"), handle(s, s.about))
	huma.Register(api, operation(http.MethodGet, "/apps", "apps", "All apps as they stand"), handle(s, s.apps))
	huma.Register(api, operation(http.MethodGet, "/apps/{app}", "app", "One app as it stands"), handle(s, func(ctx context.Context, in *AppPath) (client.App, error) {
		return s.app(ctx, in.App)
	}))
	huma.Register(api, operation(http.MethodGet, "/apps/{app}/releases", "releases", "An app's releases, newest first"), handle(s, s.releases))
	huma.Register(api, operation(http.MethodPost, "/apps/{app}/rollback", "rollback", "Back to an earlier promoted version"), handle(s, s.rollback))
	huma.Register(api, operation(http.MethodPost, "/apps/{app}/diff", "diff", "What a deploy would change"), handle(s, s.diff))
	huma.Register(api, operation(http.MethodDelete, "/apps/{app}/environments/{env}/workloads/{workload}", "remove", "Take out a workload that no manifest names"),
		func(ctx context.Context, in *struct {
			AppPath
			Env      string `path:"env"`
			Workload string `path:"workload"`
		},
		) (*struct{}, error) {
			err := s.Controller.Remove(ctx, rollout.Key{App: in.App, Env: in.Env, Workload: in.Workload}, who(ctx))
			if err != nil {
				return nil, s.problem(ctx, err)
			}
			return nil, nil
		})
}

// nodeTimeout is how long an answer may wait for the node.
const nodeTimeout = 2 * time.Second

func (s *server) about(ctx context.Context, _ *struct{}) (client.Server, error) {
	about := s.About
	about.Node, about.Confinement = "down", s.Confined
	ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
	defer cancel()
	if s.Engine != nil {
		about.Engine = s.Engine(ctx)
	}
	if seen, err := s.Node.Seen(ctx, 0); err == nil {
		about.Node = "up"
		about.Confinement = append(append([]string{}, s.Confined...), seen.Sandbox...)
	}
	return about, nil
}

func (s *server) apps(ctx context.Context, _ *struct{}) ([]client.App, error) {
	names := map[string]bool{}
	known, err := s.Store.Apps(ctx)
	if err != nil {
		return nil, err
	}
	out := []client.App{}
	for _, a := range known {
		app, err := s.app(ctx, a.Name)
		if err != nil {
			return nil, err
		}
		names[a.Name] = true
		out = append(out, app)
	}
	// An app whose first push failed has no release, and must not be a secret.
	pushes, err := s.Store.Pushes(ctx, "", recentPushes)
	if err != nil {
		return nil, err
	}
	for _, p := range pushes {
		if !names[p.App] {
			names[p.App] = true
			app, err := s.app(ctx, p.App)
			if err != nil {
				return nil, err
			}
			out = append(out, app)
		}
	}
	return out, nil
}

const recentPushes = 50

// remote is where an app is pushed by whoever asks.
func (s *server) remote(ctx context.Context, app string) string {
	if whoever(ctx).secure && s.About.URL != "" {
		return s.About.URL + "/" + app + ".git"
	}
	return s.About.API + "/git/" + app + ".git"
}

func (s *server) app(ctx context.Context, name string) (client.App, error) {
	app := client.App{Name: name, Remote: s.remote(ctx, name), Environments: []client.Environment{}}
	newest, err := s.Store.Releases(ctx, name, 0, 1)
	if err != nil {
		return app, err
	}
	if len(newest) > 0 {
		app.Release, app.Commit = int(newest[0].Number), newest[0].Commit
	}
	pushes, err := s.Store.Pushes(ctx, name, recentPushes)
	if err != nil {
		return app, err
	}
	if len(newest) == 0 && len(pushes) == 0 {
		return app, problem(http.StatusNotFound, "T0802", "there is no app "+name+"\n  help    titrate status lists the apps")
	}
	for i, p := range pushes {
		if !p.Stage.Over() || i == 0 && p.Stage == rollout.PushFailed {
			app.Pushes = append(app.Pushes, wirePush(p))
		}
	}
	app.Environments, err = s.environments(ctx, name)
	return app, err
}

// further returns the repository of a push to a further one.
func further(p rollout.Push) string {
	if p.Repo == p.App {
		return ""
	}
	return p.Repo
}

func wirePush(p rollout.Push) client.Push {
	return client.Push{
		ID: p.ID, App: p.App, Repo: further(p), Commit: p.Commit, Branch: p.Branch, Message: p.Message, Stage: string(p.Stage),
		Problem: p.Problem, Release: int(p.Release), At: p.At,
	}
}

func (s *server) releases(ctx context.Context, in *struct {
	AppPath
	Limit int `query:"limit" default:"20" minimum:"1" maximum:"500"`
},
) ([]client.Release, error) {
	rs, err := s.Store.Releases(ctx, in.App, 0, in.Limit)
	if err != nil {
		return nil, err
	}
	out := []client.Release{}
	for _, r := range rs {
		rollouts, err := s.Store.Rollouts(ctx, store.Filter{App: in.App, Release: r.Number})
		if err != nil {
			return nil, err
		}
		one := client.Release{
			Number: int(r.Number), Repo: r.Repo, Commit: r.Commit, Sources: r.Sources, Message: r.Message, Author: r.Author, Branch: r.Branch, At: r.At, Rollouts: []client.Rollout{},
		}
		for _, ro := range rollouts {
			one.Rollouts = append(one.Rollouts, s.wireRollout(ro))
		}
		out = append(out, one)
	}
	return out, nil
}

func (s *server) rollback(ctx context.Context, in *struct {
	AppPath
	Body client.RollbackRequest
},
) (client.RollbackAnswer, error) {
	env, err := s.environment(ctx, in.App, in.Body.Env)
	if err != nil {
		return client.RollbackAnswer{}, err
	}
	to, err := destination(in.Body.To)
	if err != nil {
		return client.RollbackAnswer{}, err
	}
	got, err := s.Controller.Rollback(ctx, controller.Scope{App: in.App, Env: env, Workload: in.Body.Workload}, to, who(ctx))
	if err != nil {
		return client.RollbackAnswer{}, err
	}
	return s.wireRollback(got), nil
}

func (s *server) diff(ctx context.Context, in *struct {
	AppPath
	Body client.DiffRequest
},
) ([]client.Difference, error) {
	src, folders := []byte(in.Body.Manifest), in.Body.Folders
	d := controller.Delivery{By: who(ctx), Default: true}
	if newest, err := s.Store.Releases(ctx, in.App, 0, 1); err != nil {
		return nil, err
	} else if len(newest) > 0 {
		d.Commit, d.Branch = newest[0].Commit, newest[0].Branch
		if len(src) == 0 {
			src, folders = newest[0].Manifest, newest[0].Folders
		}
	}
	if len(src) == 0 {
		return nil, problem(http.StatusNotFound, "T0802", "there is no app "+in.App+" yet, and no manifest was sent")
	}
	app, problems := manifest.Parse(src, manifest.File, folders...)
	if err := problems.Err(); err != nil {
		return nil, problem(http.StatusUnprocessableEntity, "T0803", err.Error())
	}
	if app.Name != in.App {
		return nil, problem(http.StatusUnprocessableEntity, "T0803", "the manifest is of app "+app.Name+", not of "+in.App)
	}
	d.App, d.Manifest, d.Folders = *app, src, folders
	if in.Body.Env != "" {
		d.Envs = []string{in.Body.Env}
	} else {
		for _, e := range app.Environments {
			d.Envs = append(d.Envs, e.Name)
		}
	}
	got, err := s.Controller.Diff(ctx, d)
	if err != nil {
		return nil, err
	}
	return wireDiff(got), nil
}

// environment is the one that is meant when none is named: the only one, or
// production.
func (s *server) environment(ctx context.Context, app, named string) (string, error) {
	if named != "" {
		return named, nil
	}
	envs, err := s.environments(ctx, app)
	if err != nil {
		return "", err
	}
	switch len(envs) {
	case 0:
		if _, err := s.app(ctx, app); err != nil {
			return "", err
		}
	case 1:
		return envs[0].Name, nil
	}
	for _, e := range envs {
		if e.Name == "production" {
			return e.Name, nil
		}
	}
	return "", problem(http.StatusUnprocessableEntity, "T0803", "which environment of "+app+"?\n  help    --env NAME")
}
