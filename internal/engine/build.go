package engine

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"
)

// Build says how an image is made of a [Context].
type Build struct {
	Target string            // the stage of a multi-stage Dockerfile; empty: the last
	Args   map[string]string // of ARG
	Labels map[string]string
	// Offline keeps the steps from the network; base images are pulled all the same.
	Offline bool
	// Auth is by registry host, for base images. BuildKit takes none over this API:
	// see [Engine.PullBases].
	Auth map[string]Auth
}

// Auth are the credentials of a registry.
type Auth struct{ Username, Password string }

// BuildError says that a Dockerfile could not be built.
type BuildError struct {
	Line int    // of the Dockerfile; 0: not known
	Step string // the instruction that failed: "RUN npm ci"; empty: not known
	Saw  string // what the builder said
}

func (e *BuildError) Error() string {
	switch {
	case e.Line > 0:
		return fmt.Sprintf("line %d of the Dockerfile: %s: %s", e.Line, e.Step, e.Saw)
	case e.Step != "":
		return e.Step + ": " + e.Saw
	default:
		return e.Saw
	}
}

// Build has the engine's builder build an image of c and returns its id,
// "sha256:…". What the builder says goes to log. A fault of the Dockerfile is a
// [BuildError]. BuildKit builds where it is the engine's builder, and where the
// Dockerfile needs it.
func (e *Engine) Build(ctx context.Context, c *Context, b Build, log io.Writer) (id string, err error) {
	v, err := e.Version(ctx)
	if err != nil {
		return "", err
	}
	kit := v.buildKit
	if text, rerr := c.Dockerfile(); rerr == nil && v.Name == "Docker" {
		kit = kit || asksPlatform(text)
	}
	id, err = e.build(ctx, c, b, kit, log)
	if err != nil && !kit && v.Name == "Docker" && needsBuildKit(err) {
		fmt.Fprintln(log, "the Dockerfile needs BuildKit: once more with it")
		id, err = e.build(ctx, c, b, true, log)
	}
	if fault := (*BuildError)(nil); errors.As(err, &fault) {
		if text, rerr := c.Dockerfile(); rerr == nil {
			fault.locate(text)
		}
	}
	return id, err
}

func (e *Engine) build(ctx context.Context, c *Context, b Build, buildKit bool, log io.Writer) (string, error) {
	packed, pack := io.Pipe()
	var packing error
	packedAll := make(chan struct{})
	go func() {
		defer close(packedAll)
		packing = c.Pack(pack)
		pack.CloseWithError(packing)
	}()
	defer func() {
		packed.Close() //nolint:errcheck // always nil
		<-packedAll
	}()
	opts := client.ImageBuildOptions{
		Dockerfile: c.dockerfile, Target: b.Target, Labels: b.Labels, BuildArgs: map[string]*string{},
		Remove: true, ForceRemove: true, AuthConfigs: map[string]registry.AuthConfig{}, Version: build.BuilderV1,
	}
	if buildKit {
		opts.Version = build.BuilderBuildKit
	}
	if b.Offline {
		opts.NetworkMode = "none"
	}
	for name, value := range b.Args {
		opts.BuildArgs[name] = &value
	}
	for host, a := range b.Auth {
		opts.AuthConfigs[configKey(host)] = registry.AuthConfig{Username: a.Username, Password: a.Password, ServerAddress: host}
	}
	res, err := e.api.ImageBuild(ctx, packed, opts)
	if err != nil {
		packed.Close() //nolint:errcheck // always nil
		<-packedAll
		if packing != nil && !errors.Is(packing, io.ErrClosedPipe) {
			return "", packing // the context is at fault, not the engine
		}
		if text, ok := refusal(err); ok {
			return "", &BuildError{Saw: text}
		}
		return "", e.failed("build an image", err)
	}
	defer res.Body.Close()
	id, err := readBuild(res.Body, log)
	return id, e.failed("build an image", err)
}
