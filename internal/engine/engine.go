// Package engine speaks to the container engine of this machine, Docker or podman,
// through its socket: it builds, pulls and keeps images, and starts, watches and
// ends containers. It decides nothing: what should run is its callers' to say.
//
// The protocol is the Docker Engine API (docs.docker.com/reference/api/engine),
// version 1.40 and later, which podman speaks too; the version is negotiated.
//
// One file, one concept: find.go looks for an engine; context.go packs what is
// built from, build.go builds and buildlog.go and trace.go read what the builder
// says; container.go, network.go and sweep.go are about what runs.
package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"
)

// Label marks what Titrate made in an engine: images, containers and networks. Its
// value names the data folder that they belong to.
const Label = "dev.titrate.owner"

var (
	// ErrNone says that no engine answers on this machine.
	ErrNone = errors.New("no container engine answers on this machine")
	// ErrNotFound is wrapped when an engine answers that it does not have what was
	// asked for.
	ErrNotFound = errors.New("the engine has no such thing")
	// ErrGone is wrapped when an engine did not answer: what it runs may run on.
	ErrGone = errors.New("the container engine does not answer")
	// ErrNoSpace is wrapped when an engine's disk has no room for what was asked.
	ErrNoSpace = errors.New("the disk of the container engine is full")
)

// Engine is a container engine. Its methods are safe for many goroutines.
type Engine struct {
	host string
	api  *client.Client

	mu      sync.Mutex
	version Version // once it has answered
}

// Version is what an engine says of itself.
type Version struct {
	Name     string // "Docker" or "Podman"
	Version  string // "20.10.24"
	API      string // the highest version of the API that it speaks
	Platform string // "linux/amd64"
	Rootless bool
	SELinux  bool // it labels containers
	Limits   bool // it keeps the limits of containers
	buildKit bool // its builder is BuildKit
}

// String returns "Docker 20.10.24".
func (v Version) String() string { return v.Name + " " + v.Version }

// Open returns the engine at host, "unix:///var/run/docker.sock" say, without
// asking it anything: it may answer later.
func Open(host string) (*Engine, error) {
	path, ok := strings.CutPrefix(host, "unix://")
	if !ok || !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("a container engine is named by its socket, unix:///run/docker.sock say, not %q", host)
	}
	api, err := client.New(client.WithHost(host), client.WithUserAgent("titrate"))
	if err != nil {
		return nil, fmt.Errorf("open the engine at %s: %w", host, err)
	}
	return &Engine{host: host, api: api}, nil
}

// Socket returns the path of the socket at which the engine answers.
func (e *Engine) Socket() string { return strings.TrimPrefix(e.host, "unix://") }

// Close lets go of the connections to it.
func (e *Engine) Close() error { return e.api.Close() }

// pingMost is how long an engine that works takes to answer at most.
const pingMost = 5 * time.Second

// tellMost is how long it may take to tell what it is, which it is asked once: podman
// runs programs to find out.
const tellMost = time.Minute

// Version returns what the engine is, and wraps [ErrGone] when it does not answer.
func (e *Engine) Version(ctx context.Context) (Version, error) {
	soon, cancel := context.WithTimeout(ctx, pingMost)
	defer cancel()
	ping, err := e.api.Ping(soon, client.PingOptions{NegotiateAPIVersion: true})
	if err != nil {
		return Version{}, e.failed("ask the engine", err)
	}
	ctx, cancel = context.WithTimeout(ctx, tellMost)
	defer cancel()
	if known := e.Known(); known != (Version{}) {
		return known, nil
	}
	got, err := e.api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return Version{}, e.failed("ask the engine for its version", err)
	}
	info, err := e.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return Version{}, e.failed("ask the engine what it is", err)
	}
	v := Version{Name: "Docker", Version: got.Version, API: got.APIVersion, Platform: got.Os + "/" + got.Arch}
	for _, c := range got.Components {
		if strings.HasPrefix(c.Name, "Podman") {
			v.Name = "Podman"
		}
	}
	user, err := e.user()
	if err != nil {
		return Version{}, e.failed("ask the engine whose it is", err)
	}
	v.Rootless = user != 0 // podman does not say so
	for _, o := range info.Info.SecurityOptions {
		v.Rootless = v.Rootless || strings.HasPrefix(o, "name=rootless")
		v.SELinux = v.SELinux || strings.HasPrefix(o, "name=selinux")
	}
	v.Limits = !v.Rootless || info.Info.CgroupVersion != "1" // whose groups are root's alone
	v.buildKit = v.Name == "Docker" && ping.BuilderVersion == "2"
	e.mu.Lock()
	defer e.mu.Unlock()
	e.version = v
	return v, nil
}

// user returns who listens at the engine's socket.
func (e *Engine) user() (uid uint32, err error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: e.Socket()}); err != nil {
		return 0, err
	}
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, err
	}
	return cred.Uid, nil
}

// Known returns what the engine has said that it is; zero: it has not answered yet.
func (e *Engine) Known() Version {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.version
}

// failed names what was being done, and sorts errors into those that callers tell
// apart.
func (e *Engine) failed(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errdefs.IsNotFound(err):
		return fmt.Errorf("%s: %w: %w", doing, ErrNotFound, err)
	case client.IsErrConnectionFailed(err), errors.Is(err, context.DeadlineExceeded), errdefs.IsUnavailable(err):
		return fmt.Errorf("%s: %w: %w", doing, ErrGone, err)
	case full(err.Error()):
		return fmt.Errorf("%s: %w: %w", doing, ErrNoSpace, err)
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
}

// full reports whether an engine says that its disk is: in the kernel's words, because
// the API has no code for it.
func full(text string) bool {
	return strings.Contains(text, unix.ENOSPC.Error()) || strings.Contains(text, unix.EDQUOT.Error())
}
