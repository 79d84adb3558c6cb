package pipeline

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"titrate/internal/rollout"
)

// shelf is a registry on loopback.
func shelf(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// put puts an image of one file under tags.
func put(t *testing.T, content, arch string, tags ...string) {
	t.Helper()
	img := picture(t, content, arch)
	for _, tag := range tags {
		ref, err := name.ParseReference(tag)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, img); err != nil {
			t.Fatal(err)
		}
	}
}

// picture is an image of one file.
func picture(t *testing.T, content, arch string) v1.Image {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "etc/app", Mode: 0o640, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		t.Fatal(err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file.OS, file.Architecture, file.Config = "linux", arch, v1.Config{Cmd: []string{"/etc/app"}}
	if img, err = mutate.ConfigFile(img, file); err != nil {
		t.Fatal(err)
	}
	return img
}

// TestR1_anImageIsPulledOnceForADigest has two tags of one image, and then another
// under the first of them.
func TestR1_anImageIsPulledOnceForADigest(t *testing.T) {
	t.Parallel()
	host := shelf(t)
	put(t, "one", runtime.GOARCH, host+"/a/b:1", host+"/a/b:latest")
	b := builder(t, func(*Config) {})
	ask := func(ref string) Result {
		t.Helper()
		got, err := build(t, b, files(t, "x", "y"), Workload{Name: "web", Image: ref})
		if err != nil {
			t.Fatal(err)
		}
		return got[0]
	}
	first, again := ask(host+"/a/b:1"), ask(host+"/a/b:latest")
	if first.Reused || !again.Reused || first.Artifact.Digest != again.Artifact.Digest || again.Artifact.Image.Ref != host+"/a/b:latest" || len(first.Artifact.Command) != 0 {
		t.Errorf("%+v\n%+v", first, again)
	}
	path := b.Artifacts().Path(first.Artifact.Digest)
	if text, err := os.ReadFile(filepath.Join(path, "etc/app")); err != nil || string(text) != "one" || first.Artifact.Image.Digest != "sha256:"+first.Artifact.Digest {
		t.Errorf("%q, %v", text, err)
	}
	if err := b.Artifacts().Verify(first.Artifact.Digest); err != nil {
		t.Error(err)
	}
	put(t, "two", runtime.GOARCH, host+"/a/b:1")
	second := ask(host + "/a/b:1")
	if second.Reused || second.Artifact.Digest == first.Artifact.Digest {
		t.Errorf("%+v", second)
	}
	if err := os.WriteFile(filepath.Join(path, "etc/app"), []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Artifacts().Verify(first.Artifact.Digest); err == nil {
		t.Error("a changed image is not noticed")
	}
	if err := b.GC(t.Context(), map[string]bool{second.Artifact.Digest: true}, 0, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if exists(path) || !exists(b.Artifacts().Path(second.Artifact.Digest)) {
		t.Error("an image that no release names is kept, or one that is named is not")
	}
}

func TestImage_whatItMissesHereIsSaid(t *testing.T) {
	t.Parallel()
	host := shelf(t)
	put(t, "one", runtime.GOARCH, host+"/a/b:1")
	b := builder(t, func(c *Config) {
		c.ImageNote = func(i rollout.Image) string { return "it has no way out for " + i.Cmd[0] }
	})
	var said bytes.Buffer
	_, err := b.Build(t.Context(), Job{App: "shop", Label: "r1", Source: files(t, "x", "y"), Progress: &said, Workloads: []Workload{{Name: "web", Image: host + "/a/b:1"}}})
	if err != nil || !strings.Contains(said.String(), "note    web              it has no way out for /etc/app\n") {
		t.Errorf("%v, %q", err, said.String())
	}
}

func TestImage_thatCannotBeHadMovesNothing(t *testing.T) {
	t.Parallel()
	host := shelf(t)
	put(t, "x", "s390x", host+"/a/far:1")
	put(t, strings.Repeat("x", 1<<20), runtime.GOARCH, host+"/a/large:1")
	for name, c := range map[string]struct {
		ref, code, want string
	}{
		"not here":     {host + "/a/large:1", CodeLack, "it has no namespaces"},
		"no tag":       {host + "/a/b:none", CodeImage, "there is no image"},
		"elsewhere":    {host + "/a/far:1", CodeImage, "there is linux/s390x"},
		"too large":    {host + "/a/large:1", CodeImage, "larger than 0.5 MB"},
		"no such file": {"tar:none.tar", CodeImage, "no image at none.tar"},
	} {
		b := builder(t, func(cfg *Config) {
			cfg.Limits.Disk = 1 << 19
			if c.code == CodeLack {
				cfg.Images = func(context.Context) error { return &LackError{Saw: "it has no namespaces", Help: "buy some"} }
			}
		})
		_, err := build(t, b, files(t, "x", "y"), Workload{Name: "web", Image: c.ref})
		if err == nil || !strings.Contains(err.Error(), c.code) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "services.web.image = "+c.ref) {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := os.ReadDir(b.artifacts.dir); err != nil || len(left) != 0 {
			t.Errorf("%s: %v is left, %v", name, left, err)
		}
	}
}
