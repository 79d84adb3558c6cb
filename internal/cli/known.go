package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"titrate/client"
)

// known is an error when something that t and --env name does not exist: the app,
// the environment, the workload, the release or the version. It says what does. A
// command that found nothing asks it, so that a slip is not taken for "nothing to do".
func (s *session) known(ctx context.Context, c *client.Client, t target) error {
	apps, err := c.Apps(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(apps, func(a client.App) bool { return a.Name == t.app })
	if i < 0 {
		return noApp(apps, t.app)
	}
	a := apps[i]
	if names := environments(a); s.env != "" && !slices.Contains(names, s.env) {
		return noEnvironment(a.Name, s.env, names)
	}
	if names := workloads(a, s.env); t.workload != "" && !slices.Contains(names, t.workload) {
		return usage("%s has no workload %s%s\n  saw     %s", a.Name, t.workload, within(s.env), listed(names))
	}
	if t.release > a.Release {
		return usage("%s has no release r%d\n  saw     %s", a.Name, t.release, numbered("r", a.Release))
	}
	if t.version == 0 {
		return nil
	}
	return s.knownVersion(ctx, c, t)
}

// knownVersion is an error when nothing that t names has had its version.
func (s *session) knownVersion(ctx context.Context, c *client.Client, t target) error {
	rs, err := c.Rollouts(ctx, client.RolloutQuery{App: t.app, Env: s.env, Workload: t.workload, Limit: 500})
	if err != nil {
		return err
	}
	last := 0
	for _, r := range rs {
		for _, m := range r.Members {
			if t.workload == "" || m.Workload == t.workload {
				last = max(last, m.Candidate)
			}
		}
	}
	if t.version <= last {
		return nil
	}
	of := t
	of.version = 0
	return usage("%s has no version v%d%s\n  saw     %s", of, t.version, within(s.env), numbered("v", last))
}

// noApp says that there is none by that name. What was meant is often a workload
// without its app.
func noApp(apps []client.App, name string) error {
	for _, a := range apps {
		if slices.Contains(workloads(a, ""), name) {
			return usage("there is no app %s\n  help    a workload is named with its app: %s/%s", name, a.Name, name)
		}
	}
	return usage("there is no app %s\n  help    titrate status lists the apps", name)
}

func noEnvironment(app, env string, names []string) error {
	return usage("%s has no environment %s\n  saw     %s", app, env, listed(names))
}

// environments names those of an app.
func environments(a client.App) []string {
	var names []string
	for _, e := range a.Environments {
		names = append(names, e.Name)
	}
	return names
}

// workloads names those of an app, in one environment or, without one, in all.
func workloads(a client.App, env string) []string {
	var names []string
	for _, e := range a.Environments {
		for _, w := range e.Workloads {
			if (env == "" || e.Name == env) && !slices.Contains(names, w.Name) {
				names = append(names, w.Name)
			}
		}
	}
	return names
}

func within(env string) string {
	if env == "" {
		return ""
	}
	return " in " + env
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none yet"
	}
	return strings.Join(names, ", ")
}

// numbered says which there are of things that are counted up from 1.
func numbered(letter string, last int) string {
	switch last {
	case 0:
		return "none yet"
	case 1:
		return letter + "1"
	}
	return fmt.Sprintf("%s1 to %s%d", letter, letter, last)
}
