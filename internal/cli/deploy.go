package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"titrate/client"
)

func (s *session) deployCommand() *cobra.Command {
	var watch, urgent, dryRun bool
	var message, remove string
	c := &cobra.Command{
		Use: "deploy [PATH]", Short: "release a folder as it is, committed or not", Args: between(0, 1),
		Long: "Takes the files of the folder (those that git would not ignore) as they are now, and releases them as a push does.\nYour own repository, its branches and its index stay as they are.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if remove != "" {
				return s.remove(cmd.Context(), remove)
			}
			if len(args) > 0 {
				if !filepath.IsAbs(args[0]) {
					args[0] = filepath.Join(s.Dir, args[0])
				}
				s.Dir = args[0]
				if info, err := os.Stat(s.Dir); err != nil || !info.IsDir() {
					return usage("there is no folder %s", s.Dir)
				}
			}
			app, path, err := s.manifest()
			if err != nil {
				return err
			}
			if dryRun {
				return s.diffCommand().RunE(cmd, nil)
			}
			c, err := s.connect()
			if err != nil {
				return err
			}
			var options []string
			if s.env != "" {
				options = append(options, "env="+s.env)
			}
			if urgent {
				options = append(options, "urgent")
			}
			before, err := newest(cmd.Context(), c, app.Name)
			if err != nil {
				return err
			}
			if err := s.pushFolder(cmd.Context(), c, app.Name, filepath.Dir(path), message, options); err != nil {
				return err
			}
			return s.followDeploy(cmd.Context(), c, app.Name, before, watch)
		},
	}
	f := c.Flags()
	f.BoolVarP(&watch, "watch", "w", false, "watch until it is over; the exit code says how it ended")
	f.BoolVar(&urgent, "urgent", false, "supersede what is in progress")
	f.BoolVarP(&dryRun, "dry-run", "n", false, "only say what would change")
	f.StringVar(&remove, "remove", "", "release nothing: end a workload that titrate.yaml names no more")
	f.StringVarP(&message, "message", "m", "deployed from a folder", "what the release is about")
	return c
}

// deployBranch is where folders are pushed; environments are named by option, or
// follow the default branch.
const deployBranch = "refs/heads/deploy"

// pushFolder commits dir in a repository of its own and pushes that.
func (s *session) pushFolder(ctx context.Context, c *client.Client, app, dir, message string, options []string) error {
	tmp, err := os.MkdirTemp("", "titrate-deploy-")
	if err != nil {
		return fmt.Errorf("make a folder for the commit: %w", err)
	}
	defer os.RemoveAll(tmp)
	git := func(args ...string) error {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = dir
		cmd.Env = append(s.Env[:len(s.Env):len(s.Env)],
			"GIT_DIR="+tmp, "GIT_WORK_TREE="+dir, "GIT_INDEX_FILE="+filepath.Join(tmp, "index"),
			// In the environment, so that the token stands in no list of processes.
			"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=http."+c.URL+".extraHeader", "GIT_CONFIG_VALUE_0=Authorization: Bearer "+c.Token,
			"GIT_CONFIG_KEY_1=advice.addEmbeddedRepo", "GIT_CONFIG_VALUE_1=false",
			"GIT_AUTHOR_NAME="+s.person(), "GIT_AUTHOR_EMAIL="+s.person()+"@localhost",
			"GIT_COMMITTER_NAME="+s.person(), "GIT_COMMITTER_EMAIL="+s.person()+"@localhost")
		cmd.Stdout, cmd.Stderr = s.Err, s.Err
		var ended *exec.ExitError
		switch err := cmd.Run(); {
		case err == nil:
			return nil
		case args[0] == "push" && errors.As(err, &ended) && ended.ExitCode() == 1: // the server has said why
			return &exitError{exitUsage, errors.New("the push was refused; nothing has changed")}
		default:
			return fmt.Errorf("git %s: %w", args[0], err)
		}
	}
	for _, args := range [][]string{
		{"init", "--quiet"},
		{"add", "--all", "."},
		// The moment makes it a commit of its own: the same files a second time are a
		// deploy all the same, and git pushes no commit twice.
		{"commit", "--quiet", "--allow-empty", "--no-verify", "-m", message, "-m", "Deployed at " + time.Now().UTC().Format(time.RFC3339Nano)},
	} {
		if err := git(args...); err != nil {
			return err
		}
	}
	push := []string{"push", "--quiet", "--force"}
	for _, o := range append(options, "deploy") {
		push = append(push, "-o", o)
	}
	return git(append(push, strings.TrimSuffix(c.URL, "/")+"/git/"+app+".git", "HEAD:"+deployBranch)...)
}

func (s *session) person() string {
	if name := s.variable("USER"); name != "" {
		return name
	}
	return "titrate"
}

// newest is the id of an app's newest rollout, 0 when it has none.
func newest(ctx context.Context, c *client.Client, app string) (int64, error) {
	rs, err := c.Rollouts(ctx, client.RolloutQuery{App: app, Limit: 1})
	if err != nil || len(rs) == 0 {
		return 0, err
	}
	return rs[0].ID, nil
}

// followDeploy says what came of a deploy: the rollouts that were opened after the
// one numbered before, or a push that failed.
func (s *session) followDeploy(ctx context.Context, c *client.Client, app string, before int64, watch bool) error {
	a, err := c.App(ctx, app)
	if err != nil {
		return err
	}
	if len(a.Pushes) > 0 && a.Pushes[0].Stage == "failed" {
		return exit(exitBuild) // the push has told why
	}
	all, err := c.Rollouts(ctx, client.RolloutQuery{App: app, Env: s.env, Limit: 100})
	if err != nil {
		return err
	}
	opened := []client.Rollout{}
	for _, r := range all {
		if r.ID > before {
			opened = append(opened, r)
		}
	}
	if watch && len(opened) > 0 {
		return s.watch(ctx, c, opened, false)
	}
	if err := s.emit(opened, nothing); err != nil || len(opened) > 0 {
		return err
	}
	return s.behind(a)
}

// behind is an error when nothing was opened because the version is one that was
// refused: it is not tried again unless a person says so.
func (s *session) behind(a client.App) error {
	for _, e := range a.Environments {
		for _, w := range e.Workloads {
			refused := w.Outcome != "" && w.Outcome != "promoted" && !w.Synced && w.Orphaned == 0
			if moving := w.Rollout != nil && !w.Rollout.Over(); refused && !moving && (s.env == "" || s.env == e.Name) {
				at := "" // a server that does not tell means the last one
				if w.Refused != 0 {
					at = "@v" + strconv.Itoa(w.Refused)
				}
				return &exitError{exitPolicy, fmt.Errorf("%s in %s is %s; it is not tried again by itself\n  help    titrate rollout retry %s/%s%s --env %s",
					w.Name, e.Name, w.Sync, a.Name, w.Name, at, e.Name)}
			}
		}
	}
	return nil
}

// remove ends a workload that the manifest names no more (R28).
func (s *session) remove(ctx context.Context, workload string) error {
	return s.inEnvironment(ctx, func(c *client.Client, app, env string) error {
		if ok, err := s.ask(ctx, fmt.Sprintf("%s in %s: its processes end and its addresses answer no more. Remove it? [Y/n] ", workload, env)); err != nil || !ok {
			return err
		}
		if err := c.Remove(ctx, app, env, workload); err != nil {
			return err
		}
		fmt.Fprintf(s.Err, "%s is removed from %s. What it wrote to volumes is kept: volumes/%s/%s/%s in the data folder.\n", workload, env, app, env, workload)
		return s.emit(struct {
			App      string `json:"app"`
			Env      string `json:"env"`
			Workload string `json:"workload"`
		}{app, env, workload}, nothing)
	})
}
