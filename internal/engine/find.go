package engine

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// None is the setting that no engine is to be used.
const None = "none"

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

// Find returns the first engine of [Hosts] that answers. A setting other than
// empty is the only place that is looked at: "none", or where it answers, which it
// may do later. It returns [ErrNone] when there is none.
func Find(ctx context.Context, setting string) (*Engine, error) {
	switch setting {
	case None:
		return nil, ErrNone
	case "":
	default:
		return Open(setting)
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
			return e, nil
		}
		_ = e.Close() // it answered nothing
	}
	return nil, ErrNone
}
