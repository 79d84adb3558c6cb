// Package image gets container images without a container engine: it looks a
// reference up, pins its digest, pulls its layers and unpacks them into a folder.
// It runs nothing. See the OCI image and distribution specifications.
package image

import (
	"context"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"titrate/internal/rollout"
)

// Login is what a registry is shown. The password is in the clear.
type Login struct{ Username, Password string }

// Source says where an image is.
type Source struct {
	Ref    string           // as the manifest has it: a reference to a registry, oci:FOLDER or tar:FILE
	Root   string           // the folder in which FOLDER and FILE are
	Logins map[string]Login // by the registry's host
	Work   string           // an empty folder for what is read in passing
}

// Image is an image that was found and pinned; its layers are where they were.
type Image struct {
	rollout.Image
	Size   int64  // bytes of its layers as they are pulled
	Config string // digest of its configuration: the id that an engine gives it
	// Pinned is the reference by digest, for another puller, and Login what the
	// registry is to be shown; empty when it does not come from a registry.
	Pinned string
	Login  Login
	from   v1.Image
	layers []v1.Layer
}

// Archive writes the image as `docker save` does, under a name. Layers are pulled in
// passing.
func (i *Image) Archive(w io.Writer, as string) error {
	tag, err := name.NewTag(as)
	if err != nil {
		return fmt.Errorf("name an image: %w", err)
	}
	return explained(i.Ref, tarball.Write(tag, i.from, w))
}

// platform is what images must be made for to run here.
var platform = v1.Platform{OS: "linux", Architecture: runtime.GOARCH}

// Find looks an image up and pins it. It pulls no layer. An [Error] says what is
// wrong with the reference, the registry or the image.
func Find(ctx context.Context, s Source) (*Image, error) {
	var img v1.Image
	var digest v1.Hash
	var err error
	registry := false
	switch {
	case strings.HasPrefix(s.Ref, "oci:"):
		var dir string
		if dir, err = inRepository(s, "oci:"); err == nil {
			img, err = fromLayout(dir)
		}
	case strings.HasPrefix(s.Ref, "tar:"):
		var file string
		if file, err = inRepository(s, "tar:"); err == nil {
			img, digest, err = fromArchive(file, s.Work)
		}
	default:
		img, err = fromRegistry(ctx, s)
		registry = true
	}
	if err != nil {
		return nil, explained(s.Ref, err)
	}
	if digest == (v1.Hash{}) {
		if digest, err = img.Digest(); err != nil {
			return nil, explained(s.Ref, err)
		}
	}
	out, err := describe(img)
	if err != nil {
		return nil, explained(s.Ref, err)
	}
	out.Ref, out.Digest = s.Ref, digest.String()
	if registry {
		ref, err := name.ParseReference(s.Ref)
		if err != nil {
			return nil, explained(s.Ref, err)
		}
		out.Pinned = ref.Context().Name() + "@" + out.Digest
		out.Login, _ = login(s.Logins, ref.Context().RegistryStr())
	}
	return out, nil
}

// describe reads what an image's configuration says, and refuses one that is not
// for this machine.
func describe(img v1.Image) (*Image, error) {
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	if file.OS != "" && file.OS != platform.OS || file.Architecture != "" && file.Architecture != platform.Architecture {
		return nil, platformError([]string{file.OS + "/" + file.Architecture})
	}
	c := file.Config
	config, err := img.ConfigName()
	if err != nil {
		return nil, err
	}
	out := &Image{from: img, Config: config.String(), Image: rollout.Image{
		Entrypoint: c.Entrypoint, Cmd: c.Cmd, Env: c.Env, User: c.User, WorkingDir: c.WorkingDir, Ports: ports(c.ExposedPorts), StopSignal: c.StopSignal,
		Volumes: slices.Sorted(maps.Keys(c.Volumes)),
	}}
	if out.layers, err = img.Layers(); err != nil {
		return nil, err
	}
	for _, l := range out.layers {
		n, err := l.Size()
		if err != nil {
			return nil, err
		}
		out.Size += n
	}
	return out, nil
}

// ports are the TCP ports of a set such as {"8080/tcp", "53/udp"}.
func ports(exposed map[string]struct{}) []int {
	var out []int
	for p := range exposed {
		number, proto, _ := strings.Cut(p, "/")
		if n, err := strconv.Atoi(number); err == nil && n > 0 && n < 1<<16 && (proto == "" || proto == "tcp") {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// choose returns the image of an index that is for this machine.
func choose(index v1.ImageIndex) (v1.Image, error) {
	list, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var have []string
	for _, m := range list.Manifests {
		switch p := m.Platform; {
		case m.MediaType.IsIndex():
			inner, err := index.ImageIndex(m.Digest)
			if err != nil {
				return nil, err
			}
			return choose(inner)
		case !m.MediaType.IsImage():
		case p == nil || p.OS == platform.OS && p.Architecture == platform.Architecture:
			return index.Image(m.Digest) // without a platform its configuration tells
		case p.OS != "unknown": // an attestation beside the images
			have = append(have, p.String())
		}
	}
	return nil, platformError(have)
}

func platformError(have []string) error {
	slices.Sort(have)
	there := strings.Join(slices.Compact(have), ", ")
	if there == "" {
		there = "nothing that can be run"
	}
	return &Error{
		Kind: WrongPlatform, Saw: fmt.Sprintf("the image is not for this machine, %s/%s: there is %s", platform.OS, platform.Architecture, there),
		Help: fmt.Sprintf("build it for this machine too: docker buildx build --platform %s/%s", platform.OS, platform.Architecture),
	}
}
