package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// The settings beside the path of a socket.
const (
	Auto = "auto" // the first engine of [Hosts] that answers
	None = "none" // no engine is to be used
)

// Hosts lists where an engine is looked for, in order: $DOCKER_HOST, then the usual
// sockets of Docker and podman, of root and of this user.
func Hosts(getenv func(string) string) []string {
	var out []string
	if h := getenv("DOCKER_HOST"); strings.HasPrefix(h, "unix://") {
		out = append(out, h)
	}
	mine := getenv("XDG_RUNTIME_DIR")
	paths := []string{"/var/run/docker.sock"}
	if mine != "" {
		paths = append(paths, filepath.Join(mine, "docker.sock"))
	}
	paths = append(paths, "/run/podman/podman.sock")
	if mine != "" {
		paths = append(paths, filepath.Join(mine, "podman", "podman.sock"))
	}
	for _, p := range paths {
		out = append(out, "unix://"+p)
	}
	return out
}

// Seeker finds the engine of a setting whenever it is asked for one: an engine may
// be installed, started or restarted while this program runs. Its method is safe
// for many goroutines.
type Seeker struct {
	setting string

	mu    sync.Mutex
	found *Engine
}

// Seek returns the seeker of a setting: [Auto] or empty, [None], or where the socket is, as
// a path or unix://PATH.
func Seek(setting string) (*Seeker, error) {
	if setting == "" {
		setting = Auto
	}
	s := &Seeker{setting: setting}
	if setting == Auto || setting == None {
		return s, nil
	}
	if strings.HasPrefix(setting, "/") {
		setting = "unix://" + setting
	}
	var err error
	s.found, err = Open(setting)
	return s, err
}

// Engine returns the engine, which answers. It wraps [ErrNone] when there is none,
// and [ErrGone] when the one that is set, or that was found before, does not answer:
// what it holds cannot be had from another.
func (s *Seeker) Engine(ctx context.Context) (*Engine, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.found != nil {
		if _, err := s.found.Version(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", s.found.Socket(), err)
		}
		return s.found, nil
	}
	if s.setting == None {
		return nil, ErrNone
	}
	for _, host := range Hosts(os.Getenv) {
		if _, err := os.Stat(strings.TrimPrefix(host, "unix://")); err != nil {
			continue
		}
		e, err := Open(host)
		if err != nil {
			continue
		}
		if _, err := e.Version(ctx); err == nil {
			s.found = e
			return e, nil
		}
		_ = e.Close() // it answered nothing
	}
	return nil, ErrNone
}

// Known returns the engine that is set or was found, whether it answers or not, and
// what it says of itself; nil: there is none.
func (s *Seeker) Known(ctx context.Context) (e *Engine, v Version, err error) {
	if _, err = s.Engine(ctx); errors.Is(err, ErrNone) {
		return nil, v, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found, s.found.Known(), err
}
