package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"titrate/internal/durable"
)

const firstBranch = "main"

// git runs the git program, away from every configuration but ours.
type git struct {
	path   string
	config string // the one configuration file it reads
	home   string
}

// prepareGit finds git and writes its configuration and hooks.
func prepareGit(ctx context.Context, cfg Config) (git, error) {
	path, err := exec.LookPath("git")
	if err != nil {
		return git{}, fmt.Errorf("error[%s]: no git program was found\n  where   PATH=%s\n  help    install git, then start titrate again", codeNoGit, os.Getenv("PATH"))
	}
	hooks := filepath.Join(cfg.Dir, ".hooks")
	home := filepath.Join(cfg.Dir, ".home")
	for _, dir := range []string{cfg.Dir, hooks, home} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return git{}, fmt.Errorf("prepare repositories: %w", err)
		}
	}
	g := git{path: path, config: filepath.Join(home, "config"), home: home}
	if err := durable.WriteFile(g.config, []byte(gitConfig(cfg, hooks))); err != nil {
		return git{}, fmt.Errorf("prepare repositories: %w", err)
	}
	for _, hook := range []string{preReceive, postReceive} {
		script := "#!/bin/sh\nexec"
		for _, arg := range append(append([]string(nil), cfg.HookCommand...), hook) {
			script += " '" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		path := filepath.Join(hooks, hook)
		if err := durable.WriteFile(path, []byte(script+"\n")); err != nil {
			return git{}, fmt.Errorf("prepare hooks: %w", err)
		}
		if err := os.Chmod(path, 0o700); err != nil {
			return git{}, fmt.Errorf("prepare hooks: %w", err)
		}
	}
	if _, err := g.run(ctx, cfg.Dir, nil, "version"); err != nil {
		return git{}, fmt.Errorf("error[%s]: the git program does not run\n  where   %s\n  saw     %w", codeNoGit, path, err)
	}
	return g, nil
}

// gitConfig is all that git is told. See git-config(1).
func gitConfig(cfg Config, hooks string) string {
	return fmt.Sprintf(`[safe]
	directory = *
[core]
	hooksPath = %q
	fsync = all
	logAllRefUpdates = false
[receive]
	fsckObjects = true
	maxInputSize = %d
	autogc = false
	advertisePushOptions = true
	keepAlive = 5
	denyDeleteCurrent = ignore
[receive "fsck"]
	# Old mistakes of old programs, harmless here; refusing them would refuse real repositories.
	zeroPaddedFilemode = warn
	missingSpaceBeforeDate = warn
	badTimezone = warn
[transfer]
	# Our own records are nobody's business.
	hideRefs = refs/titrate
[gc]
	autoDetach = false
[pack]
	threads = 1
[uploadpack]
	allowFilter = true
[http]
	receivepack = true
`, hooks, cfg.MaxPush)
}

func (g git) env(more ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + g.home, "LC_ALL=C", "TZ=UTC",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + g.config, "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0",
	}, more...)
}

// command prepares git in dir. The end of ctx ends its whole process group, so
// that hooks and helpers go with it; a Ctrl-C at our terminal is ours alone.
func (g git) command(ctx context.Context, dir string, env []string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, g.path, args...)
	c.Dir, c.Env = dir, g.env(env...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = 5 * time.Second
	return c
}

// run returns what git printed; an error carries what it complained of.
func (g git) run(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	return g.runWith(g.command(ctx, dir, env, args...))
}

func (g git) runWith(c *exec.Cmd) (string, error) {
	var out, complaint bytes.Buffer
	c.Stdout, c.Stderr = &out, &complaint
	if err := c.Run(); err != nil {
		return out.String(), &gitError{args: c.Args[1:], said: strings.TrimSpace(complaint.String()), err: err}
	}
	return out.String(), nil
}

type gitError struct {
	args []string
	said string
	err  error
}

func (e *gitError) Error() string {
	if e.said == "" {
		return fmt.Sprintf("git %s: %v", e.args[0], e.err)
	}
	return fmt.Sprintf("git %s: %v: %s", e.args[0], e.err, e.said)
}

func (e *gitError) Unwrap() error { return e.err }

// exited reports whether git ran and ended with code.
func exited(err error, code int) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == code
}
