package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// user is who the program runs as in an image: nobody's number on the machine.
const user = 65532

// images makes an OCI layout with an image for each architecture, and an archive for
// `docker load` of each.
func (r *release) images() error {
	if r.rootfs == "" { // an image without git could not be pushed to
		fmt.Fprintln(r.log, "made no images: -rootfs is not given; packaging/image/rootfs.sh makes one")
		return nil
	}
	index := mutate.IndexMediaType(empty.Index, "application/vnd.oci.image.index.v1+json")
	tag, err := name.NewTag("titrate:" + strings.NewReplacer("+", "-", "~", "-").Replace(r.version))
	if err != nil {
		return err
	}
	for _, arch := range arches {
		img, err := r.image(arch)
		if err != nil {
			return fmt.Errorf("make the image for %s: %w", arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
		path := filepath.Join(r.out, fmt.Sprintf("titrate-image-%s.tar", arch))
		if err := tarball.WriteToFile(path, tag, img); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		r.made(path)
	}
	path := filepath.Join(r.out, "titrate-image-oci")
	if _, err := layout.Write(path, index); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	r.made(path)
	return nil
}

func (r *release) image(arch string) (v1.Image, error) {
	img := mutate.MediaType(mutate.ConfigMediaType(empty.Image, "application/vnd.oci.image.config.v1+json"), "application/vnd.oci.image.manifest.v1+json")
	layers, err := r.layers(arch)
	if err != nil {
		return nil, err
	}
	if img, err = mutate.AppendLayers(img, layers...); err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Created = "linux", arch, v1.Time{Time: r.at}
	c := &file.Config
	c.User = fmt.Sprintf("%d:%d", user, user)
	c.Entrypoint, c.Cmd = []string{"/usr/bin/titrate"}, []string{"up", "--foreground", "--api", "0.0.0.0:7070", "--gateway", "0.0.0.0:7080"}
	c.WorkingDir, c.StopSignal = "/var/lib/titrate", "SIGTERM"
	c.ExposedPorts = map[string]struct{}{"7070/tcp": {}, "7080/tcp": {}}
	c.Volumes = map[string]struct{}{"/var/lib/titrate": {}}
	c.Env = append(c.Env, "TITRATE_DATA=/var/lib/titrate", "HOME=/var/lib/titrate", "PATH=/usr/bin:/bin")
	c.Labels = map[string]string{
		"org.opencontainers.image.title": "titrate", "org.opencontainers.image.version": r.version,
		"org.opencontainers.image.licenses": "Apache-2.0", "org.opencontainers.image.created": r.at.Format("2006-01-02T15:04:05Z07:00"),
	}
	return mutate.ConfigFile(img, file)
}

// tree adds a folder to an archive, in order and with one time.
func (r *release) tree(w *tar.Writer, root string) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		h := &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), ModTime: r.at, Format: tar.FormatPAX}
		var content []byte
		switch {
		case e.IsDir():
			h.Typeflag, h.Name = tar.TypeDir, name+"/"
		case e.Type() == fs.ModeSymlink:
			h.Typeflag = tar.TypeSymlink
			h.Linkname, err = os.Readlink(path)
		case e.Type().IsRegular():
			h.Typeflag, h.Size = tar.TypeReg, info.Size()
			content, err = os.ReadFile(path)
		default:
			err = fmt.Errorf("%s is a %s", path, e.Type())
		}
		if err == nil {
			err = w.WriteHeader(h)
		}
		if err == nil {
			_, err = w.Write(content)
		}
		return err
	})
}

// layers are what the program needs beside it, which seldom changes, and the program.
func (r *release) layers(arch string) ([]v1.Layer, error) {
	program, err := os.ReadFile(r.file(arch))
	if err != nil {
		return nil, err
	}
	below, err := r.layer(func(w *tar.Writer) error { return r.tree(w, filepath.Join(r.rootfs, arch)) })
	if err != nil {
		return nil, err
	}
	own, err := r.layer(func(w *tar.Writer) error {
		for _, h := range []tar.Header{
			{Name: "usr/bin/titrate", Mode: 0o755, Size: int64(len(program)), Typeflag: tar.TypeReg},
			{Name: "tmp/", Mode: 0o1777, Typeflag: tar.TypeDir},
			{Name: "var/", Mode: 0o755, Typeflag: tar.TypeDir},
			{Name: "var/lib/", Mode: 0o755, Typeflag: tar.TypeDir},
			{Name: "var/lib/titrate/", Mode: 0o700, Typeflag: tar.TypeDir, Uid: user, Gid: user},
		} {
			h.ModTime, h.Format = r.at, tar.FormatPAX
			if err := w.WriteHeader(&h); err != nil {
				return err
			}
			if h.Size > 0 {
				if _, err := w.Write(program); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return []v1.Layer{below, own}, err
}

func (r *release) layer(fill func(*tar.Writer) error) (v1.Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := errors.Join(fill(w), w.Close()); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(opener(b.Bytes()), tarball.WithMediaType("application/vnd.oci.image.layer.v1.tar+gzip"))
}
