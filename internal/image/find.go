package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// fromRegistry asks a registry; one on this machine without TLS too.
func fromRegistry(ctx context.Context, s Source) (v1.Image, error) {
	ref, err := name.ParseReference(s.Ref)
	if err != nil {
		return nil, &Error{Kind: NotFound, Saw: err.Error(), Help: "an image is [HOST/]NAME[:TAG][@DIGEST]"}
	}
	opts := []remote.Option{remote.WithContext(ctx), remote.WithUserAgent("titrate")}
	if l, ok := login(s.Logins, ref.Context().RegistryStr()); ok {
		opts = append(opts, remote.WithAuth(&authn.Basic{Username: l.Username, Password: l.Password}))
	}
	desc, err := remote.Get(ref, opts...)
	if err != nil {
		return nil, err
	}
	if desc.MediaType.IsIndex() {
		index, err := desc.ImageIndex()
		if err != nil {
			return nil, err
		}
		return choose(index)
	}
	return desc.Image()
}

// login finds the login of a registry. Docker's has two names.
func login(logins map[string]Login, host string) (Login, bool) {
	if l, ok := logins[host]; ok {
		return l, true
	}
	if host == name.DefaultRegistry {
		l, ok := logins["docker.io"]
		return l, ok
	}
	return Login{}, false
}

// inRepository returns where a path of the repository is. A link that leads out of it
// would show the image's makers a file of this machine.
func inRepository(s Source, scheme string) (string, error) {
	rel := strings.TrimPrefix(s.Ref, scheme)
	root, err := os.OpenRoot(s.Root)
	if err != nil {
		return "", err
	}
	defer root.Close() //nolint:errcheck // only read
	if _, err := root.Stat(rel); err != nil {
		return "", missing("the repository has no image at "+rel, err)
	}
	at := filepath.Join(s.Root, filepath.FromSlash(rel))
	return at, filepath.WalkDir(at, func(name string, d os.DirEntry, err error) error {
		if err == nil && name != at && d.Type()&os.ModeSymlink != 0 {
			err = errors.New(d.Name() + " is a link")
		}
		return err
	})
}

func missing(what string, err error) error {
	return &Error{Kind: NotFound, Saw: what + ": " + cause(err), Help: "commit the folder of an OCI layout whole, or what docker save -o FILE IMAGE makes", err: err}
}

func fromLayout(dir string) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, missing("there is no image in the OCI layout", err)
	}
	return choose(index)
}

// fromArchive reads an archive: what `docker save` makes, or an OCI layout. Of the
// first the image's id is the digest: the digest of its manifest would depend on how
// this program compresses.
func fromArchive(file, work string) (v1.Image, v1.Hash, error) {
	const what = "there is no archive of an image"
	docker, err := inArchive(file, "manifest.json")
	if err != nil {
		return nil, v1.Hash{}, missing(what, err)
	}
	if docker {
		img, err := tarball.ImageFromPath(file, nil)
		if err != nil {
			return nil, v1.Hash{}, missing(what, err)
		}
		digest, err := img.ConfigName()
		return img, digest, err
	}
	if err := unpackLayout(file, work); err != nil {
		return nil, v1.Hash{}, missing(what, err)
	}
	img, err := fromLayout(work)
	return img, v1.Hash{}, err
}

func inArchive(file, want string) (bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if path.Clean(h.Name) == want {
			return true, nil
		}
	}
}

// unpackLayout unpacks the files of an OCI layout. Their names are fixed, so that
// none can lead anywhere.
func unpackLayout(file, dir string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		n := path.Clean(h.Name)
		blob := strings.HasPrefix(n, "blobs/sha256/") && len(n) == len("blobs/sha256/")+64
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(n) || !blob && n != "index.json" && n != "oci-layout" {
			continue
		}
		to := filepath.Join(dir, filepath.FromSlash(n))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		if err := write(to, r); err != nil {
			return fmt.Errorf("unpack %s: %w", n, err)
		}
	}
}

func write(to string, from io.Reader) error {
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, from)
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	return err
}
