package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A step of a build runs as a process of a process of ours: this program again
// as "__sandbox", which makes the walls (inside.go), starts the step behind
// them, counts its processes, and ends all of them when the step ends.

// spec is what the sandbox is told, as JSON on descriptor 3.
type spec struct {
	Level     level    `json:"level"`
	Root      string   `json:"root,omitempty"` // an empty folder: becomes the root of what the step sees
	Binds     []bind   `json:"binds"`
	Network   bool     `json:"network"`
	Dir       string   `json:"dir"`
	Args      []string `json:"args"`
	Env       []string `json:"env"`
	Processes int      `json:"processes"`
	FileSize  int64    `json:"file_size"`
	Waited    bool     `json:"waited,omitempty"`
	Probe     bool     `json:"probe,omitempty"` // make the walls and end well
}

// bind shows a file or folder of this machine to the step. At is where; empty:
// in its own place, and always there where the machine allows no mounts. Without a
// Path it is a small folder in memory, gone after the step; it needs mounts.
type bind struct {
	Path  string `json:"path,omitempty"`
	At    string `json:"at,omitempty"`
	Write bool   `json:"write,omitempty"`
}

// outcome is what the sandbox says at the end, as JSON on descriptor 4.
type outcome struct {
	Exit    int    `json:"exit"`              // 128 + signal when one ended the step
	Stopped string `json:"stopped,omitempty"` // the limit that ended the step
	Setup   string `json:"setup,omitempty"`   // why the walls could not be made
}

// level says which walls the machine lets us make. Landlock comes on top of each.
type level string

const (
	levelFull  level = "full"  // user, mount, process, network and IPC namespaces
	levelHalf  level = "half"  // the same without mounts: everything is seen, Landlock decides
	levelPlain level = "plain" // no namespaces
)

// sandbox runs steps, behind the best walls that the machine allows.
type sandbox struct {
	launcher []string
	limits   Limits
	dir      string // the data folder
	waited   bool

	once    sync.Once
	level   level
	refusal string // why the level is not full
}

func newSandbox(cfg Config) (*sandbox, error) {
	if len(cfg.Launcher) == 0 {
		return nil, errors.New("builds need a launcher")
	}
	program, err := exec.LookPath(cfg.Launcher[0])
	if err == nil {
		program, err = filepath.EvalSymlinks(program)
	}
	if err != nil {
		return nil, fmt.Errorf("builds need this program again: %w", err)
	}
	launcher := append([]string{program}, cfg.Launcher[1:]...)
	return &sandbox{launcher: launcher, limits: cfg.Limits, dir: cfg.Dir, waited: cfg.Waited}, nil
}

// probe finds the best level once, by trying.
func (s *sandbox) probe(ctx context.Context) level {
	s.once.Do(func() {
		s.level = levelPlain
		root, err := os.MkdirTemp("", "titrate-probe-")
		if err != nil {
			s.refusal = err.Error()
			return
		}
		defer os.Remove(root)
		for _, l := range []level{levelFull, levelHalf} {
			out, err := s.launch(ctx, spec{Level: l, Root: root, Binds: systemBinds(), Dir: "/", Probe: true}, io.Discard, io.Discard)
			if err == nil && out.Setup == "" && out.Exit == 0 {
				s.level = l
				return
			}
			if s.refusal == "" {
				s.refusal = out.Setup
				if err != nil {
					s.refusal = err.Error()
				}
			}
		}
	})
	return s.level
}

// confinement says what this machine cannot keep builds from: nothing where it has
// both namespaces and Landlock.
func (s *sandbox) confinement(ctx context.Context) []string {
	level, abi := s.probe(ctx), landlockABI()
	var out []string
	switch level {
	case levelFull:
	case levelHalf:
		out = append(out, "This machine does not let builds have a view of files of their own ("+s.refusal+"): process and network namespaces hold them.")
	case levelPlain:
		out = append(out, "This machine does not let builds have namespaces of their own ("+s.refusal+").")
	}
	switch {
	case abi == 0 && level == levelFull:
		out = append(out, "This kernel has no Landlock: namespaces alone hold builds.")
	case abi == 0:
		out = append(out, "This kernel has no Landlock: builds can read what titrate can read. Push only code that you trust.")
	case abi < 4 && level == levelPlain:
		out = append(out, "This kernel's Landlock does not know networks: builds can reach the network.")
	}
	return out
}

// landlockABI returns the version of Landlock that the kernel has, 0 for none.
func landlockABI() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

var (
	errOutput  = errors.New("it printed too much")
	errDisk    = errors.New("it wrote too much")
	errNoSpace = errors.New("the disk is almost full")
	errTime    = errors.New("it took too long")
)

// step is one program to run behind the walls.
type step struct {
	binds   []bind
	network bool
	dir     string // as the step sees it
	args    []string
	told    string // args, as an error says them; empty: as they are
	env     []string
	work    string    // a folder of the step's own, for its root, HOME and /tmp
	log     *stepLog  // what it prints
	stdout  io.Writer // nil: the log
}

// at returns where the step sees a folder that is given a place of its own.
func (s *sandbox) at(ctx context.Context, place, path string) string {
	if s.probe(ctx) == levelFull {
		return place
	}
	return path
}

// run runs a step within its limits. The error is a limit that was passed, or a
// fault of this machine; how the step itself ended is in the outcome.
func (s *sandbox) run(ctx context.Context, st step) (outcome, error) {
	sp := spec{Level: s.probe(ctx), Network: st.network, Dir: st.dir, Args: st.args, Processes: s.limits.Processes, FileSize: s.limits.Disk, Waited: s.waited}
	home, tmp := filepath.Join(st.work, "home"), filepath.Join(st.work, "tmp")
	sp.Root = filepath.Join(st.work, "root")
	for _, dir := range []string{home, tmp, sp.Root} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return outcome{}, fmt.Errorf("run a build: %w", err)
		}
	}
	sp.Binds = append(append(systemBinds(), bind{Path: tmp, At: "/tmp", Write: true}, bind{Path: home, At: "/home", Write: true}), st.binds...)
	sp.Env = append([]string{"HOME=" + s.at(ctx, "/home", home), "TMPDIR=" + s.at(ctx, "/tmp", tmp), "LANG=C.UTF-8"}, st.env...)

	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ctx, cancel := context.WithTimeoutCause(ctx, s.limits.Time, errTime)
	defer cancel()
	st.log.mu.Lock()
	st.log.over = func() { stop(errOutput) }
	st.log.mu.Unlock()
	var watching sync.WaitGroup
	watch, unwatch := context.WithCancel(ctx)
	// What others left in a cache that it writes to is not the step's.
	bound := s.written(sp.Binds) + s.limits.Disk
	watching.Go(func() { s.watchDisk(watch, sp.Binds, bound, stop) })
	stdout := st.stdout
	if stdout == nil {
		stdout = st.log
	}
	out, err := s.launch(ctx, sp, stdout, st.log)
	unwatch()
	watching.Wait()
	switch cause := context.Cause(ctx); {
	case cause != nil:
		return out, cause
	case err != nil:
		return out, fmt.Errorf("run a build: %w", err)
	case out.Setup != "":
		return out, fmt.Errorf("make the walls of a build: %s", out.Setup)
	}
	return out, nil
}

// launch starts the sandbox and waits for its end.
func (s *sandbox) launch(ctx context.Context, sp spec, stdout, stderr io.Writer) (out outcome, err error) {
	text, err := json.Marshal(sp)
	if err != nil {
		return out, err
	}
	specR, specW, err := os.Pipe()
	if err != nil {
		return out, err
	}
	defer specR.Close()
	outR, outW, err := os.Pipe()
	if err != nil {
		specW.Close()
		return out, err
	}
	defer outR.Close()
	c := exec.CommandContext(ctx, s.launcher[0], append(s.launcher[1:len(s.launcher):len(s.launcher)], "__sandbox")...)
	c.Stdout, c.Stderr = stdout, stderr
	c.Env = []string{"PATH=" + os.Getenv("PATH")}
	c.Dir = "/"
	c.ExtraFiles = []*os.File{specR, outW}
	c.SysProcAttr = walls(sp)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 5 * time.Second
	err = c.Start()
	outW.Close()
	if err != nil {
		specW.Close()
		return out, err
	}
	_, werr := specW.Write(text) // fits a pipe, and fails only when the sandbox died
	specW.Close()
	answer, rerr := io.ReadAll(io.LimitReader(outR, 64<<10))
	err = c.Wait()
	if jerr := json.Unmarshal(answer, &out); jerr == nil {
		return out, nil
	}
	return out, fmt.Errorf("the sandbox ended without a word: %w", errors.Join(err, werr, rerr))
}

// walls returns how the sandbox is started: in its namespaces, in a session of
// its own, and never to outlive us.
func walls(sp spec) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if sp.Level == levelPlain {
		return a
	}
	a.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS
	if !sp.Network {
		a.Cloneflags |= syscall.CLONE_NEWNET
	}
	a.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
	a.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
	// Kept over the exec of the sandbox, which gives them up before the step begins.
	a.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SETPCAP, unix.CAP_SYS_CHROOT}
	return a
}

// minFree is what a build leaves on the disk of the data folder.
const minFree = 256 << 20

// almostFull reports whether the disk of dir has less than that.
func almostFull(dir string) bool {
	var fsys unix.Statfs_t
	err := unix.Statfs(dir, &fsys)
	return err == nil && fsys.Bavail*uint64(fsys.Bsize) < minFree
}

// watchDisk ends a step when what it can write to is larger than bound, or when the
// disk is almost full.
func (s *sandbox) watchDisk(ctx context.Context, binds []bind, bound int64, stop context.CancelCauseFunc) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		if almostFull(s.dir) {
			stop(errNoSpace)
			return
		}
		if s.written(binds) > bound {
			stop(errDisk)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// written returns the bytes that are where a step can write.
func (s *sandbox) written(binds []bind) (n int64) {
	for _, b := range binds {
		if b.Write && strings.HasPrefix(b.Path, s.dir) {
			n += sizeOf(b.Path)
		}
	}
	return n
}

// sizeOf returns the bytes that a tree takes on the disk.
func sizeOf(dir string) (n int64) {
	//nolint:errcheck // what vanishes while we look takes no room
	filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // see above
		}
		if info, err := d.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				n += st.Blocks * 512
			}
		}
		return nil
	})
	return n
}

// systemBinds are the parts of the machine that every step sees, read-only.
func systemBinds() []bind {
	var out []bind
	for _, p := range []string{
		"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store",
		"/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
		"/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/resolv.conf", "/etc/hosts", "/etc/localtime", "/etc/mime.types", "/etc/protocols", "/etc/services",
	} {
		if _, err := os.Stat(p); err == nil {
			out = append(out, bind{Path: p})
		}
	}
	return out
}
