package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"
)

// Image is what an engine says of an image.
type Image struct {
	ID         string // sha256:…, of its config
	Platform   string // "linux/arm64"
	Entrypoint []string
	Cmd        []string
	Env        []string
	User       string
	WorkingDir string
	Ports      []int // EXPOSEd over TCP, in order
	StopSignal string
	Volumes    []string // declared, in order
	Size       int64
	Labels     map[string]string
}

// Image returns the image named by an id or a reference, and wraps [ErrNotFound]
// when the engine has none.
func (e *Engine) Image(ctx context.Context, name string) (Image, error) {
	got, err := e.api.ImageInspect(ctx, name)
	if err != nil {
		return Image{}, e.failed("look at the image "+name, err)
	}
	im := Image{ID: got.ID, Platform: got.Os + "/" + got.Architecture, Size: got.Size}
	c := got.Config
	if c == nil {
		return im, nil
	}
	im.Entrypoint, im.Cmd, im.Env, im.User = c.Entrypoint, c.Cmd, c.Env, c.User
	im.WorkingDir, im.StopSignal, im.Labels = c.WorkingDir, c.StopSignal, c.Labels
	im.Volumes = slices.Sorted(maps.Keys(c.Volumes))
	for p := range c.ExposedPorts {
		num, proto, _ := strings.Cut(p, "/")
		if n, err := strconv.Atoi(num); err == nil && (proto == "" || proto == "tcp") {
			im.Ports = append(im.Ports, n)
		}
	}
	slices.Sort(im.Ports)
	return im, nil
}

// Pull gets an image from its registry; ref names it by digest
// ("ghcr.io/a/b@sha256:…"), so that it cannot be another one. A zero auth is of
// everybody.
func (e *Engine) Pull(ctx context.Context, ref string, auth Auth) error {
	opts := client.ImagePullOptions{}
	if auth != (Auth{}) {
		encoded, err := authconfig.Encode(registry.AuthConfig{Username: auth.Username, Password: auth.Password})
		if err != nil {
			return fmt.Errorf("pull %s: %w", ref, err)
		}
		opts.RegistryAuth = encoded
	}
	res, err := e.api.ImagePull(ctx, ref, opts)
	if err == nil {
		err = res.Wait(ctx)
	}
	return e.failed("pull "+ref, err)
}

// Load takes the images of an archive as `docker save` writes it, and returns the
// id or name that the engine gave the last one.
func (e *Engine) Load(ctx context.Context, archive io.Reader) (string, error) {
	res, err := e.api.ImageLoad(ctx, archive)
	if err != nil {
		return "", e.failed("load an image", err)
	}
	defer res.Close()
	name := ""
	lines := bufio.NewScanner(res)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var m struct{ Stream, Error string }
		if json.Unmarshal(lines.Bytes(), &m) != nil {
			continue
		}
		if m.Error != "" {
			return "", e.failed("load an image", errors.New(m.Error))
		}
		for _, said := range []string{"Loaded image ID: ", "Loaded image(s): ", "Loaded image: "} {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(m.Stream), said); ok {
				name = rest
			}
		}
	}
	if err := lines.Err(); err != nil {
		return "", e.failed("load an image", err)
	}
	if name == "" {
		return "", errors.New("load an image: the engine named none")
	}
	return name, nil
}
