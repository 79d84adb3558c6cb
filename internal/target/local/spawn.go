package local

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"titrate/internal/rollout"
	"titrate/internal/world"

	"golang.org/x/sys/unix"
)

// spawn starts a process in a session of its own, through the launcher. The
// process exists when it returns; failed yields why it could not become the
// program, or "" when it has. The launcher itself gets the token alone, by which
// it is found after a crash.
func (s *Supervisor) spawn(l launch, out *outputs) (p *process, failed func() string, err error) {
	return s.spawnAs(l, out, nil)
}

// spawnAs is spawn, with our user seen as user as by the process, in a user namespace
// of its own; nil: as it is.
func (s *Supervisor) spawnAs(l launch, out *outputs, as *int) (p *process, failed func() string, err error) {
	defer closeAll(l.locks)
	l.Locks = len(l.locks)
	specR, specW, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("make a pipe: %w", err)
	}
	errR, errW, err := os.Pipe()
	if err != nil {
		closeAll([]*os.File{specR, specW})
		return nil, nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer errW.Close()
	files, err := out.writers()
	if err != nil {
		closeAll([]*os.File{specR, specW})
		errR.Close()
		return nil, nil, err
	}
	defer closeAll(files)
	fds := []uintptr{files[0].Fd(), files[1].Fd(), files[2].Fd(), specR.Fd(), errW.Fd()}
	for i, f := range []*os.File{l.stdin, l.stdout} {
		if f != nil {
			fds[i] = f.Fd()
		}
	}
	for _, lock := range l.locks {
		fds = append(fds, lock.Fd())
	}
	sys := &syscall.SysProcAttr{Setsid: true}
	if as != nil {
		sys.Cloneflags = syscall.CLONE_NEWUSER
		sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: *as, HostID: os.Geteuid(), Size: 1}}
		sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: *as, HostID: os.Getegid(), Size: 1}}
	}
	pid, err := syscall.ForkExec(s.cfg.Launcher[0], s.cfg.Launcher, &syscall.ProcAttr{
		Dir: "/", Env: tokenOf(l.Env), Files: fds, Sys: sys,
	})
	specR.Close() // so that a launcher that dies before it has read all ends the write below
	if err != nil {
		specW.Close()
		errR.Close()
		return nil, nil, fmt.Errorf("start the launcher: %w", err)
	}
	// A launcher that dies before it has read this ends with its status.
	_ = json.NewEncoder(specW).Encode(l)
	specW.Close()
	if p, err = openProcess(pid, 0, s.cfg.Exits); err != nil {
		_ = syscall.Kill(pid, syscall.SIGKILL) // a child not waited for yet: the number is its own
		_, _ = syscall.Wait4(pid, nil, 0, nil)
		errR.Close()
		return nil, nil, err
	}
	return p, func() string {
		defer errR.Close()
		b, _ := io.ReadAll(io.LimitReader(errR, 4096))
		return string(b)
	}, nil
}

// tokenOf returns the variable that names a process's family.
func tokenOf(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool { return !strings.HasPrefix(kv, tokenVar+"=") })
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// place is where a process of a version runs, for instances and hooks alike.
type place struct {
	id, token string
	key       rollout.Key
	fleet     world.Fleet
	dir       string // with tmp and the FIFOs
	home      string // with its state and volumes; empty: where a workload of that key has them
	port      int    // of this machine at which it is called; 0: it is not
}

// launch returns what the launcher is to become.
func (s *Supervisor) launch(ctx context.Context, pl place, argv, env []string) (launch, error) {
	artifact := filepath.Join(s.cfg.Artifacts, pl.fleet.Artifact)
	if _, err := os.Stat(artifact); err != nil {
		return launch{}, fmt.Errorf("the artifact %.12s… is missing: %w", pl.fleet.Artifact, err)
	}
	if len(argv) > 0 && argv[0] == world.Self {
		argv = append([]string{s.cfg.Program}, argv[1:]...)
	}
	for _, dir := range []string{pl.tmp(), s.stateOf(pl)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return launch{}, fmt.Errorf("make the folders of %s: %w", pl.id, err)
		}
	}
	volumes, err := s.makeVolumes(pl)
	if err != nil {
		return launch{}, err
	}
	if pl.fleet.Image != nil {
		return s.launchImage(ctx, pl, argv, env)
	}
	return launch{
		Argv: argv, Env: env, Dir: artifact,
		// Keeper, server and node are started from the program's file: who could
		// change it would run outside of these walls next. Who could write to control
		// groups would leave its own.
		Hide:     append([]string{s.cfg.Data, s.cfg.Program}, s.cfg.Groups.Mounts()...),
		ReadOnly: append([]string{artifact, s.cfg.Program}, s.cfg.Groups.Mounts()...),
		// The FIFOs too, for programs that open /dev/stdout.
		Writable: append([]string{pl.tmp(), s.layout.state(pl.key), filepath.Join(pl.dir, "stdout"), filepath.Join(pl.dir, "stderr")}, volumes...),
	}, nil
}

// entered has a command run with the tools and the environment of an artifact, where
// it brings its own.
func (s *Supervisor) entered(artifact string, argv ...string) []string {
	if _, err := os.Stat(filepath.Join(s.cfg.Artifacts, artifact, world.Enter)); err != nil {
		return argv
	}
	return append([]string{"./" + world.Enter}, argv...)
}

// stateOf is the folder of a place's own data.
func (s *Supervisor) stateOf(pl place) string {
	if pl.home != "" {
		return filepath.Join(pl.home, "state")
	}
	return s.layout.state(pl.key)
}

// volumeOf is the folder of a place's volume.
func (s *Supervisor) volumeOf(pl place, name string) string {
	if pl.home != "" {
		return filepath.Join(pl.home, "volumes", name)
	}
	return s.volume(pl.key, name)
}

func (pl place) tmp() string { return filepath.Join(pl.dir, "tmp") }

// env returns the environment of a process: what it inherits of ours is PATH and
// LANG, nothing else. An image begins with its own.
func (s *Supervisor) env(pl place) []string {
	env := s.machineEnv(pl)
	if pl.fleet.Image != nil {
		env = imageEnv(*pl.fleet.Image)
	}
	for name, at := range s.cfg.URLs(pl.key, pl.fleet.Uses) {
		env["TITRATE_URL_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = at
	}
	urls, _ := s.connections(pl.key, pl.fleet.Accessories)
	for _, from := range []map[string]string{s.cfg.Variables(pl.key.App, pl.key.Env), s.addresses(pl), pl.fleet.Env, pl.fleet.Secrets, urls} {
		for name, v := range from {
			env[name] = v
		}
	}
	env["TITRATE_INSTANCE"], env[tokenVar] = pl.id, pl.token
	env["TITRATE_APP"], env["TITRATE_ENV"], env["TITRATE_SERVICE"] = pl.key.App, pl.key.Env, pl.key.Workload
	env["TITRATE_VERSION"], env["TITRATE_RELEASE"], env["TITRATE_COMMIT"] = pl.fleet.Version.String(), pl.fleet.Release.String(), pl.fleet.Commit
	env[stateVar] = s.layout.state(pl.key)
	for name := range pl.fleet.Volumes {
		env[volumeVar(name)] = s.volume(pl.key, name)
	}
	if pl.port != 0 {
		env["PORT"] = strconv.Itoa(pl.port)
	}
	if pl.fleet.Image != nil {
		env[stateVar], env["PORT"] = imageState, strconv.Itoa(imagePort(pl.fleet))
		for name, v := range pl.fleet.Volumes {
			env[volumeVar(name)] = v.Path
		}
	}
	var out []string
	for name, v := range env {
		if !strings.ContainsRune(name+v, 0) { // exec would refuse the whole environment
			out = append(out, name+"="+v)
		}
	}
	slices.Sort(out)
	return out
}

// machineEnv is what a process of this machine begins with.
func (s *Supervisor) machineEnv(pl place) map[string]string {
	env := map[string]string{
		"PATH": defaultPath,
		"LANG": "C.UTF-8",
		"HOME": pl.tmp(), "TMPDIR": pl.tmp(),
	}
	for _, name := range []string{"PATH", "LANG"} {
		if v := os.Getenv(name); v != "" {
			env[name] = v
		}
	}
	return env
}

// stateVar names the folder of a workload's own data.
const stateVar = "TITRATE_STATE"

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// addresses are the variables that hold where fellow workloads are reached. One
// that the gateway has no address for is not set.
func (s *Supervisor) addresses(pl place) map[string]string {
	var services []string
	for _, a := range pl.fleet.Addresses {
		services = append(services, a.Service)
	}
	urls, out := s.cfg.URLs(pl.key, services), map[string]string{}
	for name, a := range pl.fleet.Addresses {
		at, err := url.Parse(urls[a.Service])
		if err != nil || at.Host == "" {
			continue
		}
		switch a.As {
		case rollout.AddressHostPort:
			out[name] = at.Host
		case rollout.AddressHost:
			out[name] = at.Hostname()
		case rollout.AddressPort:
			out[name] = at.Port()
		case rollout.AddressURL:
			out[name] = urls[a.Service] + a.Path
		}
	}
	return out
}

// mkfifos makes the two FIFOs that carry a process's output.
func mkfifos(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	for _, name := range streamNames {
		if err := unix.Mkfifo(filepath.Join(dir, name), 0o600); err != nil && !os.IsExist(err) {
			return fmt.Errorf("make the FIFO %s of %s: %w", name, dir, err)
		}
	}
	return nil
}
