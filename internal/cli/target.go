package cli

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"titrate/client"
	"titrate/internal/manifest"
)

// target is what a person names: APP, APP/WORKLOAD, either with @r42 or @v17, or
// the number of a rollout.
type target struct {
	app, workload    string
	release, version int
	rollout          int64
}

var targetForm = regexp.MustCompile(`^([a-z0-9][a-z0-9-]*)?(?:/([a-z0-9][a-z0-9-]*))?(?:@([rv])([1-9][0-9]{0,8}))?$`)

func parseTarget(text string) (target, error) {
	if id, err := strconv.ParseInt(strings.TrimPrefix(text, "#"), 10, 64); err == nil {
		if id < 1 {
			return target{}, usage("there is no rollout %s: they are numbered from 1\n  help    titrate history lists them", text)
		}
		return target{rollout: id}, nil
	}
	m := targetForm.FindStringSubmatch(text)
	if m == nil {
		return target{}, usage("%q names nothing\n  help    APP, APP/WORKLOAD, APP@r42, APP/WORKLOAD@v17, or a rollout's number", text)
	}
	t := target{app: m[1], workload: m[2]}
	n, _ := strconv.Atoi(m[4]) // digits only, by the pattern
	switch m[3] {
	case "r":
		t.release = n
	case "v":
		t.version = n
	}
	return t, nil
}

// ofWorkload reports whether t names an app or a workload, and nothing of it.
func (t target) ofWorkload() bool { return t.rollout == 0 && t.release == 0 && t.version == 0 }

// workload connects, and reads an argument that names an app or a workload that there
// is; other says what to type in place of anything else.
func (s *session) workload(ctx context.Context, args []string, other string) (*client.Client, target, error) {
	c, err := s.connect()
	if err != nil {
		return nil, target{}, err
	}
	t, err := s.target(ctx, c, args)
	if err != nil {
		return nil, t, err
	}
	if !t.ofWorkload() {
		return nil, t, usage("%s", other)
	}
	return c, t, s.known(ctx, c, t)
}

// target reads the optional first argument and fills in the app: the flag, the
// manifest of this folder or one above it, or the only app of the server.
func (s *session) target(ctx context.Context, c *client.Client, args []string) (target, error) {
	var t target
	if len(args) > 0 {
		var err error
		if t, err = parseTarget(args[0]); err != nil || t.rollout != 0 {
			return t, err
		}
	}
	if t.app == "" {
		t.app = s.app
	}
	if t.app == "" {
		switch app, path, err := s.manifest(); {
		case err == nil:
			t.app = app.Name
		case path != "": // with faults: it must not be the only app of the server in its place
			if t.app = namedIn(path); t.app == "" {
				return t, err
			}
		}
	}
	if t.app != "" {
		return t, nil
	}
	apps, err := c.Apps(ctx)
	if err != nil {
		return t, err
	}
	switch len(apps) {
	case 0:
		return t, usage("the server has no app yet\n  help    titrate init in your app's folder, then git push titrate")
	case 1:
		t.app = apps[0].Name
		return t, nil
	}
	var names []string
	for _, a := range apps {
		names = append(names, a.Name)
	}
	return t, usage("which app?\n  saw     %s\n  help    name one, or use --app", strings.Join(names, ", "))
}

const manifestName = "titrate.yaml"

// manifest reads titrate.yaml of the working folder or the nearest one above it.
func (s *session) manifest() (*manifest.App, string, error) {
	for dir := s.Dir; ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, manifestName)
		src, err := readManifest(path)
		if err == nil {
			app, err := parseManifest(src, path)
			return app, path, err
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, path, &exitError{exitUsage, err}
		}
		if dir == filepath.Dir(dir) {
			return nil, "", usage("no %s here or above\n  help    titrate init writes one", manifestName)
		}
	}
}

var appLine = regexp.MustCompile(`(?m)^app:[ \t]*["']?([a-z][a-z0-9-]*)["']?[ \t]*(?:#.*)?\r?$`)

// namedIn is the app of a manifest that may have faults elsewhere: a person who takes a
// release back has no time to mend them.
func namedIn(path string) string {
	src, err := readManifest(path)
	if m := appLine.FindSubmatch(src); err == nil && m != nil {
		return string(m[1])
	}
	return ""
}

// rollouts finds what t means: the rollout by its number, else those in progress,
// which may be none, else (unless active) the last.
func (s *session) rollouts(ctx context.Context, c *client.Client, t target, active bool) ([]client.Rollout, error) {
	if t.rollout != 0 {
		r, err := c.Rollout(ctx, t.rollout)
		return []client.Rollout{r}, err
	}
	q := client.RolloutQuery{App: t.app, Env: s.env, Workload: t.workload, Release: t.release, Version: t.version, Active: true}
	rs, err := c.Rollouts(ctx, q)
	if err != nil || len(rs) > 0 {
		return rs, err
	}
	if err := s.known(ctx, c, t); err != nil || active {
		return nil, err
	}
	q.Active = false
	if t.release == 0 && t.version == 0 {
		q.Limit = 1
	}
	rs, err = c.Rollouts(ctx, q)
	if err == nil && len(rs) == 0 {
		err = usage("%s has had no such rollout\n  help    titrate history %s", t, t.app)
	}
	return rs, err
}

// String writes t as it is typed.
func (t target) String() string {
	text := t.app
	if t.workload != "" {
		text += "/" + t.workload
	}
	switch {
	case t.rollout != 0:
		text = "#" + strconv.FormatInt(t.rollout, 10)
	case t.release != 0:
		text += "@r" + strconv.Itoa(t.release)
	case t.version != 0:
		text += "@v" + strconv.Itoa(t.version)
	}
	return text
}

// inEnvironment connects and says which app and environment are meant.
func (s *session) inEnvironment(ctx context.Context, do func(c *client.Client, app, env string) error) error {
	c, err := s.connect()
	if err != nil {
		return err
	}
	t, err := s.target(ctx, c, nil)
	if err != nil {
		return err
	}
	env, err := s.environment(ctx, c, t.app)
	if err != nil {
		return err
	}
	return do(c, t.app, env)
}

// environment is the one that --env names, which must be there; else the only one.
// What there is stands in the manifest here and on the server. An app that neither
// knows yet may have any: secrets are set before the first push.
func (s *session) environment(ctx context.Context, c *client.Client, app string) (string, error) {
	var names []string
	if m, _, err := s.manifest(); err == nil && m.Name == app {
		for _, e := range m.Environments {
			names = append(names, e.Name)
		}
	}
	if len(names) == 0 || s.env != "" && !slices.Contains(names, s.env) {
		a, err := c.App(ctx, app)
		var p *client.Problem
		unborn := errors.As(err, &p) && p.Status == http.StatusNotFound
		switch {
		case unborn && len(names) == 0 && s.env != "":
			return s.env, nil
		case err != nil && (!unborn || len(names) == 0):
			return "", err
		}
		names = append(names, environments(a)...)
	}
	switch {
	case s.env != "" && !slices.Contains(names, s.env):
		return "", noEnvironment(app, s.env, names)
	case s.env != "":
		return s.env, nil
	case len(names) == 0:
		return "production", nil
	case len(names) == 1:
		return names[0], nil
	}
	return "", usage("%s has several environments\n  saw     %s\n  help    --env NAME", app, strings.Join(names, ", "))
}
