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
	"titrate/internal/daemon"
	"titrate/internal/procfs"
)

// Platform is a really running Titrate in a folder of its own, with the git work
// tree of one app that is pushed to it. The demo and the programs in bench/ play
// on it. Its methods are called by one goroutine.
type Platform struct {
	Program string   // path of the titrate binary
	Dir     string   // the folder
	App     string   // the app's name
	Env     []string // of titrate, and of git

	daemon.Running
	Client *client.Client

	up *exec.Cmd
}

// startIn is how long titrate up may take to answer.
const startIn = 30 * time.Second

// Data is the data folder.
func (p *Platform) Data() string { return filepath.Join(p.Dir, "data") }

// Work is the app's work tree.
func (p *Platform) Work() string { return filepath.Join(p.Dir, p.App) }

// Up starts Titrate on free ports and returns when it answers and its node is
// there. After Kill("up") it takes over what runs on, with its addresses.
func (p *Platform) Up(ctx context.Context) error {
	log, err := os.OpenFile(p.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make the log: %w", err)
	}
	defer log.Close()
	// Ended by Down, in order, and not by the end of ctx.
	cmd := exec.Command(p.Program, "up", "--foreground", "--data", p.Data(), "--api", "127.0.0.1:0", "--gateway", "127.0.0.1:0") //nolint:noctx // see above
	cmd.Env, cmd.Stdout, cmd.Stderr = p.Env, log, log
	// Ended too when the demo is killed: the signal comes when the thread ends that
	// started it, which Run holds on to.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start titrate: %w", err)
	}
	p.up = cmd
	if err := p.awaitUp(ctx); err != nil {
		p.Down()
		text, _ := os.ReadFile(p.LogPath())
		return fmt.Errorf("%w\n%s", err, text)
	}
	return nil
}

// Replace has the next titrate up take over, as an upgrade does, and returns when it
// answers.
func (p *Platform) Replace(ctx context.Context) error {
	if _, err := daemon.Replace(ctx, p.Data(), p.Program); err != nil {
		return err
	}
	_ = p.up.Wait() // it has let go
	return p.Up(ctx)
}

// LogPath is where titrate and its children log to.
func (p *Platform) LogPath() string { return filepath.Join(p.Dir, "titrate.log") }

func (p *Platform) awaitUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startIn)
	defer cancel()
	return poll(ctx, 5*time.Millisecond, func() (bool, error) {
		r, err := daemon.ReadRunning(p.Data())
		if errors.Is(err, fs.ErrNotExist) || err == nil && r.PID != p.up.Process.Pid {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		token, err := os.ReadFile(daemon.TokenPath(p.Data()))
		if err != nil {
			return false, err
		}
		p.Running = r
		if p.Client == nil || p.Client.URL != r.API { // the next up has the addresses of the one before
			p.Client = &client.Client{URL: r.API, Token: strings.TrimSpace(string(token))}
		}
		s, err := p.Client.Server(ctx)
		return err == nil && s.Node == "up", nil
	})
}

// Down ends Titrate and everything that it runs.
func (p *Platform) Down() {
	if p.up == nil || p.up.Process == nil {
		return
	}
	if err := p.up.Process.Signal(syscall.SIGTERM); err != nil {
		return
	}
	_ = p.up.Wait() // how it exits does not matter any more
}

// Process finds one of Titrate's own processes: up, server or node. A node that has handed
// over and still has connections is not it, as long as there is another.
func (p *Platform) Process(name string) (int, error) {
	if name == "up" {
		return p.up.Process.Pid, nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, fmt.Errorf("look for the %s: %w", name, err)
	}
	found := 0
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
		if len(args) <= 3 || args[1] != "__"+name || args[3] != p.Data() {
			continue
		}
		found = pid
		const parent, first = 4, 3 // fields of /proc/PID/stat, proc(5)
		if stat, err := procfs.Stat(pid); err == nil && stat[parent-first] == strconv.Itoa(p.up.Process.Pid) {
			break
		}
	}
	if found > 0 {
		return found, nil
	}
	return 0, fmt.Errorf("no process of the %s on %s", name, p.Data())
}

// Kill ends one of Titrate's own processes as a crash would.
func (p *Platform) Kill(name string) error {
	pid, err := p.Process(name)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill the %s: %w", name, err)
	}
	if name == "up" {
		_ = p.up.Wait() // it was killed, and says so
	}
	return nil
}

// Repository makes the work tree, with Titrate as its remote.
func (p *Platform) Repository(ctx context.Context) error {
	if err := os.MkdirAll(p.Work(), 0o755); err != nil {
		return fmt.Errorf("make the repository: %w", err)
	}
	if _, err := p.Git(ctx, "init", "--quiet", "--initial-branch=main"); err != nil {
		return err
	}
	_, err := p.Git(ctx, "remote", "add", "titrate", p.API+"/git/"+p.App+".git")
	return err
}

// Commit commits the work tree as it is.
func (p *Platform) Commit(ctx context.Context, subject string) (commit string, err error) {
	for _, args := range [][]string{{"add", "--all"}, {"commit", "--quiet", "-m", subject}} {
		if _, err := p.Git(ctx, args...); err != nil {
			return "", err
		}
	}
	commit, err = p.Git(ctx, "rev-parse", "HEAD")
	return strings.TrimSpace(commit), err
}

// Push pushes what was committed, and returns what the server said.
func (p *Platform) Push(ctx context.Context) (said []string, err error) {
	out, err := p.Git(ctx, "push", "--quiet", "titrate", "main")
	for line := range strings.Lines(out) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "remote: "); ok {
			said = append(said, strings.TrimSpace(text))
		}
	}
	return said, err
}

// Git runs git in the work tree with the token in its environment, so that it
// stands in no file and in no list of processes.
func (p *Platform) Git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = p.Work()
	cmd.Env = append(p.Env[:len(p.Env):len(p.Env)],
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=demo", "GIT_AUTHOR_EMAIL=demo@localhost", "GIT_COMMITTER_NAME=demo", "GIT_COMMITTER_EMAIL=demo@localhost",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.extraHeader", "GIT_CONFIG_VALUE_0=Authorization: Bearer "+p.Client.Token)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("git %s: %w\n%s", args[0], err, out.String())
	}
	return out.String(), nil
}

// RemoveAll removes a folder with what is read-only in it, as artifacts are.
func RemoveAll(dir string) {
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	_ = os.RemoveAll(dir)
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
