package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"titrate/client"
	"titrate/examples/cofe"
	"titrate/internal/daemon"
)

// running is what titrate up said, and its process.
type running struct {
	daemon.Running
	up  *exec.Cmd
	log string
}

// startIn is how long titrate up may take to answer.
const startIn = 30 * time.Second

// up starts Titrate on free ports.
func (d *demo) up(ctx context.Context) error {
	data := filepath.Join(d.dir, "data")
	d.server.log = filepath.Join(d.dir, "titrate.log")
	log, err := os.Create(d.server.log)
	if err != nil {
		return fmt.Errorf("make the log: %w", err)
	}
	defer log.Close()
	// Ended by down, in order, and not by the end of ctx.
	cmd := exec.Command(d.Program, "up", "--foreground", "--data", data, "--api", "127.0.0.1:0", "--gateway", "127.0.0.1:0") //nolint:noctx // see above
	cmd.Env, cmd.Stdout, cmd.Stderr = d.Env, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start titrate: %w", err)
	}
	d.server.up = cmd
	if err := d.awaitUp(ctx, data); err != nil {
		d.down()
		text, _ := os.ReadFile(d.server.log)
		return fmt.Errorf("%w\n%s", err, text)
	}
	d.say.line("  ✔ server   %s\n  ✔ gateway  %s\n", d.server.API, d.server.Gateway)
	return nil
}

func (d *demo) awaitUp(ctx context.Context, data string) error {
	ctx, cancel := context.WithTimeout(ctx, startIn)
	defer cancel()
	return poll(ctx, 20*time.Millisecond, func() (bool, error) {
		r, err := daemon.ReadRunning(data)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		token, err := os.ReadFile(daemon.TokenPath(data))
		if err != nil {
			return false, err
		}
		d.server.Running = r
		d.client = &client.Client{URL: r.API, Token: strings.TrimSpace(string(token))}
		s, err := d.client.Server(ctx)
		return err == nil && s.Node == "up", nil
	})
}

// down ends Titrate and everything that it runs.
func (d *demo) down() {
	up := d.server.up
	if up == nil || up.Process == nil {
		return
	}
	if err := up.Process.Signal(syscall.SIGTERM); err != nil {
		return
	}
	_ = up.Wait() // how it exits does not matter any more
}

// removeAll removes also what is read-only, as artifacts are.
func removeAll(dir string) {
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	_ = os.RemoveAll(dir)
}

// repository makes the git repository that is pushed.
func (d *demo) repository(ctx context.Context) error {
	if err := os.MkdirAll(d.work(), 0o755); err != nil {
		return fmt.Errorf("make the repository: %w", err)
	}
	if _, err := d.git(ctx, "init", "--quiet", "--initial-branch=main"); err != nil {
		return err
	}
	_, err := d.git(ctx, "remote", "add", "titrate", d.server.API+"/git/"+app+".git")
	return err
}

// push commits a variant and pushes it, showing what the server says.
func (d *demo) push(ctx context.Context, v cofe.Variant) (string, error) {
	if err := d.write(v); err != nil {
		return "", err
	}
	for _, args := range [][]string{{"add", "--all"}, {"commit", "--quiet", "-m", v.Subject()}} {
		if _, err := d.git(ctx, args...); err != nil {
			return "", err
		}
	}
	commit, err := d.git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return "", err
	}
	said, err := d.git(ctx, "push", "--quiet", "titrate", "main")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(said) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "remote: "); ok && strings.HasPrefix(text, "build") {
			d.say.line("  %s", text)
		}
	}
	return strings.TrimSpace(commit), nil
}

// git runs git with the token in its environment, so that it stands in no file
// and in no list of processes.
func (d *demo) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = d.work()
	cmd.Env = append(d.Env[:len(d.Env):len(d.Env)],
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=demo", "GIT_AUTHOR_EMAIL=demo@localhost", "GIT_COMMITTER_NAME=demo", "GIT_COMMITTER_EMAIL=demo@localhost",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.extraHeader", "GIT_CONFIG_VALUE_0=Authorization: Bearer "+d.client.Token)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", args[0], err, out.String())
	}
	return out.String(), nil
}

// kill ends a process of Titrate's as a crash would.
func (d *demo) kill(name string) error {
	pid, err := processOf(name, filepath.Join(d.dir, "data"))
	if err != nil {
		return err
	}
	if name == "node" {
		d.killed = time.Now()
	}
	d.say.line("  ✖ kill -9 %d (%s)", pid, name)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill the %s: %w", name, err)
	}
	return nil
}

// processOf finds Titrate's own process by that name on a data folder.
func processOf(name, data string) (int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, fmt.Errorf("look for the %s: %w", name, err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil {
			continue
		}
		args := strings.Split(string(line), "\x00")
		if len(args) > 3 && args[1] == "__"+name && args[3] == data {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("no process of the %s on %s", name, data)
}

// poll asks again and again until done, an error, or the end of ctx.
func poll(ctx context.Context, every time.Duration, done func() (bool, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
