package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"titrate/client"
)

func (s *session) deployCommand() *cobra.Command {
	var watch, urgent, dryRun bool
	var message string
	c := &cobra.Command{
		Use: "deploy [PATH]", Short: "release a folder as it is, committed or not", Args: atMostOne,
		Long: "Takes the files of the folder (those that git would not ignore) as they are now, and releases them as a push does.\nYour own repository, its branches and its index stay as they are.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				s.Dir = filepath.Join(s.Dir, args[0])
				if filepath.IsAbs(args[0]) {
					s.Dir = args[0]
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
			began := time.Now()
			if err := s.pushFolder(cmd.Context(), c, app.Name, filepath.Dir(path), message, options); err != nil {
				return err
			}
			if !watch {
				return nil
			}
			return s.watchNewest(cmd.Context(), c, app.Name, began)
		},
	}
	f := c.Flags()
	f.BoolVarP(&watch, "watch", "w", false, "watch until it is over; the exit code says how it ended")
	f.BoolVar(&urgent, "urgent", false, "supersede what is in progress")
	f.BoolVarP(&dryRun, "dry-run", "n", false, "only say what would change")
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
		if err := cmd.Run(); err != nil {
			return &exitError{exitBuild, fmt.Errorf("git %s: %w", args[0], err)}
		}
		return nil
	}
	for _, args := range [][]string{
		{"init", "--quiet"},
		{"add", "--all", "."},
		{"commit", "--quiet", "--allow-empty", "--no-verify", "-m", message},
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

// watchNewest watches the rollouts that were opened since began.
func (s *session) watchNewest(ctx context.Context, c *client.Client, app string, began time.Time) error {
	all, err := c.Rollouts(ctx, client.RolloutQuery{App: app, Env: s.env, Limit: 100})
	if err != nil {
		return err
	}
	var rs []client.Rollout
	for _, r := range all {
		if r.Opened.After(began.Add(-time.Second)) {
			rs = append(rs, r)
		}
	}
	if len(rs) == 0 {
		fmt.Fprintln(s.Err, "Nothing moved: what was deployed is what runs, or is refused. titrate status tells.")
		return nil
	}
	return s.watch(ctx, c, rs, false)
}
