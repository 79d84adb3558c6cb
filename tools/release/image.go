package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// user is who the program runs as in an image: nobody's number on the machine.
const user = 65532

// images makes an OCI layout with an image for each architecture, and an archive for
// `docker load` of each.
func (r *release) images() error {
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
	img, err := r.baseImage(arch)
	if err != nil {
		return nil, err
	}
	layer, err := r.layer(arch)
	if err != nil {
		return nil, err
	}
	if img, err = mutate.AppendLayers(img, layer); err != nil {
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
	c.Env = append(c.Env, "TITRATE_DATA=/var/lib/titrate", "HOME=/var/lib/titrate")
	if r.base == "" {
		c.Env = append(c.Env, "PATH=/usr/bin")
	}
	c.Labels = map[string]string{
		"org.opencontainers.image.title": "titrate", "org.opencontainers.image.version": r.version,
		"org.opencontainers.image.licenses": "Apache-2.0", "org.opencontainers.image.created": r.at.Format("2006-01-02T15:04:05Z07:00"),
	}
	if img, err = mutate.ConfigFile(img, file); err != nil {
		return nil, err
	}
	return img, nil
}

// baseImage is the image of the layout that was named for an architecture, or nothing.
func (r *release) baseImage(arch string) (v1.Image, error) {
	if r.base == "" {
		return mutate.MediaType(mutate.ConfigMediaType(empty.Image, "application/vnd.oci.image.config.v1+json"), "application/vnd.oci.image.manifest.v1+json"), nil
	}
	index, err := layout.ImageIndexFromPath(r.base)
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, d := range manifest.Manifests {
		if d.Platform != nil && d.Platform.OS == "linux" && d.Platform.Architecture == arch {
			return index.Image(d.Digest)
		}
	}
	return nil, fmt.Errorf("%s has no image for linux/%s", r.base, arch)
}

// layer holds the program, the roots that it trusts, a user, and its folders.
func (r *release) layer(arch string) (v1.Layer, error) {
	program, err := os.ReadFile(r.file(arch))
	if err != nil {
		return nil, err
	}
	var roots bytes.Buffer
	for root := range bundle.Roots() {
		if err := pem.Encode(&roots, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(name string, mode int64, owner int, content []byte) {
		h := &tar.Header{Name: name, Mode: mode, Uid: owner, Gid: owner, ModTime: r.at, Size: int64(len(content)), Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		if strings.HasSuffix(name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err == nil {
			err = w.WriteHeader(h)
		}
		if err == nil {
			_, err = w.Write(content)
		}
	}
	add("usr/", 0o755, 0, nil)
	add("usr/bin/", 0o755, 0, nil)
	add("usr/bin/titrate", 0o755, 0, program)
	add("etc/", 0o755, 0, nil)
	if r.base == "" {
		add("etc/passwd", 0o644, 0, fmt.Appendf(nil, "root:x:0:0:root:/:/sbin/nologin\ntitrate:x:%d:%d:Titrate:/var/lib/titrate:/sbin/nologin\n", user, user))
		add("etc/group", 0o644, 0, fmt.Appendf(nil, "root:x:0:\ntitrate:x:%d:\n", user))
		add("etc/ssl/", 0o755, 0, nil)
		add("etc/ssl/certs/", 0o755, 0, nil)
		add("etc/ssl/certs/ca-certificates.crt", 0o644, 0, roots.Bytes())
		add("tmp/", 0o1777, 0, nil)
	}
	add("var/", 0o755, 0, nil)
	add("var/lib/", 0o755, 0, nil)
	add("var/lib/titrate/", 0o700, user, nil)
	if err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(opener(b.Bytes()), tarball.WithMediaType("application/vnd.oci.image.layer.v1.tar+gzip"))
}
