package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// file is a regular file of a layer.
func file(name, content string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content)), Linkname: content}
}

// layer packs entries; the content of a regular file stands in its Linkname.
func layer(t *testing.T, entries ...tar.Header) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content, h.Linkname = h.Linkname, ""
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func picture(t *testing.T, arch string, layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatal(err)
	}
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{OS: "linux", Architecture: arch, RootFS: configOf(t, img).RootFS, Config: v1.Config{
		Entrypoint: []string{"/server"}, Cmd: []string{"-v"}, Env: []string{"A=1"}, User: "app", WorkingDir: "/srv",
		ExposedPorts: map[string]struct{}{"8080/tcp": {}, "80": {}, "53/udp": {}}, StopSignal: "SIGQUIT", Volumes: map[string]struct{}{"/var/lib/b": {}, "/var/lib/a": {}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func configOf(t *testing.T, img v1.Image) *v1.ConfigFile {
	t.Helper()
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serve is a registry on loopback, behind what may disturb it.
func serve(t *testing.T, before func(http.ResponseWriter, *http.Request, http.Handler)) (host string) {
	t.Helper()
	real := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before == nil {
			real.ServeHTTP(w, r)
			return
		}
		before(w, r, real)
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

func pushed(t *testing.T, ref string, what any) {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	switch img := what.(type) {
	case v1.Image:
		err = remote.Write(r, img)
	case v1.ImageIndex:
		err = remote.WriteIndex(r, img)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func find(t *testing.T, ref, root string) (*Image, error) {
	t.Helper()
	return Find(t.Context(), Source{Ref: ref, Root: root, Work: t.TempDir()})
}

// pull unpacks an image into a folder of the test's.
func pull(t *testing.T, img *Image, limit int64) (dir string, lines []string, err error) {
	t.Helper()
	dir = t.TempDir()
	err = img.Pull(t.Context(), Pull{Cache: t.TempDir(), Into: dir, Limit: limit, Progress: func(l string) { lines = append(lines, l) }, Pause: time.Nanosecond})
	return dir, lines, err
}

func wantKind(t *testing.T, err error, kind Kind, say string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Kind != kind || !strings.Contains(e.Saw, say) || e.Help == "" {
		t.Fatalf("got %v, want %s with %q", err, kind, say)
	}
}

func TestFind_pinsATagForThisMachine(t *testing.T) {
	t.Parallel()
	host := serve(t, nil)
	mine, other := picture(t, runtime.GOARCH, layer(t, file("server", "x"))), picture(t, "s390x", layer(t, file("server", "y")))
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: other, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}}},
		mutate.IndexAddendum{Add: mine, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: runtime.GOARCH}}})
	pushed(t, host+"/a/b:1", index)
	want, err := mine.Digest()
	if err != nil {
		t.Fatal(err)
	}
	got, err := find(t, host+"/a/b:1", "")
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest != want.String() || got.Ref != host+"/a/b:1" || !slices.Equal(got.Argv(), []string{"/server", "-v"}) || !slices.Equal(got.Ports, []int{80, 8080}) ||
		got.User != "app" || got.WorkingDir != "/srv" || got.StopSignal != "SIGQUIT" || !slices.Equal(got.Volumes, []string{"/var/lib/a", "/var/lib/b"}) || got.Env[0] != "A=1" {
		t.Errorf("%+v", got.Image)
	}
	pinned, err := find(t, host+"/a/b@"+want.String(), "")
	if err != nil || pinned.Digest != got.Digest {
		t.Errorf("%+v, %v", pinned, err)
	}
}

func TestFind_saysWhatIsWrong(t *testing.T) {
	t.Parallel()
	status := func(code int) string {
		return serve(t, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(code) })
	}
	host := serve(t, nil)
	pushed(t, host+"/a/far:1", picture(t, "s390x", layer(t, file("x", "x"))))
	closed := httptest.NewServer(http.NotFoundHandler())
	gone := strings.TrimPrefix(closed.URL, "http://")
	closed.Close()
	for name, c := range map[string]struct {
		ref  string
		kind Kind
		say  string
	}{
		"no such tag":    {host + "/a/b:none", NotFound, "there is no image"},
		"no layout":      {"oci:none", NotFound, "no image at none"},
		"no archive":     {"tar:none", NotFound, "no image at none"},
		"forbidden":      {status(http.StatusForbidden) + "/a/b", Refused, "403"},
		"a login wanted": {status(http.StatusUnauthorized) + "/a/b", Refused, "401"},
		"elsewhere":      {host + "/a/far:1", WrongPlatform, "there is linux/s390x"},
		"nobody there":   {gone + "/a/b", Unreachable, "did not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := find(t, c.ref, t.TempDir())
			wantKind(t, err, c.kind, c.say)
		})
	}
}

func TestFind_showsTheRegistryItsLogin(t *testing.T) {
	t.Parallel()
	host := serve(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if u, p, ok := r.BasicAuth(); r.Method == http.MethodGet && (!ok || u != "ana" || p != "pw") {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
	_, err := find(t, host+"/a/b:1", "")
	wantKind(t, err, Refused, "401")
	_, err = Find(t.Context(), Source{Ref: host + "/a/b:1", Logins: map[string]Login{host: {"ana", "pw"}}})
	wantKind(t, err, NotFound, "404")
}

// TestFind_inTheRepository takes the same image from a layout, from an archive of
// it, and from what docker save makes.
func TestFind_inTheRepository(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	img := picture(t, runtime.GOARCH, layer(t, file("server", "hello")))
	path, err := layout.Write(filepath.Join(root, "oci"), empty.Index)
	if err == nil {
		err = path.AppendImage(img)
	}
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag("app:1")
	if err == nil {
		err = tarball.WriteToFile(filepath.Join(root, "docker.tar"), tag, img)
	}
	if err != nil {
		t.Fatal(err)
	}
	packed, err := os.Create(filepath.Join(root, "oci.tar"))
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(packed)
	if err := errors.Join(w.AddFS(os.DirFS(filepath.Join(root, "oci"))), w.Close(), packed.Close()); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"oci:oci", "tar:oci.tar", "tar:docker.tar"} {
		got, err := find(t, ref, root)
		if err != nil {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		dir, _, err := pull(t, got, 1<<30)
		if b, rerr := os.ReadFile(filepath.Join(dir, "server")); err != nil || rerr != nil || string(b) != "hello" {
			t.Errorf("%s: %q, %v, %v", ref, b, err, rerr)
		}
	}
}

// TestFind_followsNoLinkOutOfTheRepository: a push could else read archives of this
// machine.
func TestFind_followsNoLinkOutOfTheRepository(t *testing.T) {
	t.Parallel()
	root, outside := t.TempDir(), t.TempDir()
	path, err := layout.Write(outside, empty.Index)
	if err == nil {
		err = path.AppendImage(picture(t, runtime.GOARCH, layer(t, file("secret", "x"))))
	}
	if err == nil {
		err = os.Symlink(outside, filepath.Join(root, "out"))
	}
	if err == nil {
		err = os.CopyFS(filepath.Join(root, "in"), os.DirFS(outside))
	}
	if err == nil {
		err = os.RemoveAll(filepath.Join(root, "in", "blobs"))
	}
	if err == nil {
		err = os.Symlink(filepath.Join(outside, "blobs"), filepath.Join(root, "in", "blobs"))
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"oci:out", "oci:in"} {
		if got, err := find(t, ref, root); err == nil {
			t.Errorf("%s: %+v", ref, got)
		}
	}
}

// TestPull_goesOnAfterTheRegistryBrokeOff breaks off twice in the second of two
// layers: the first is not pulled again.
func TestPull_goesOnAfterTheRegistryBrokeOff(t *testing.T) {
	t.Parallel()
	var broken, blobs atomic.Int32
	img := picture(t, runtime.GOARCH, layer(t, file("a", "one")), layer(t, file("b", strings.Repeat("two", 9999))))
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	first, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	second, err := layers[1].Digest()
	if err != nil {
		t.Fatal(err)
	}
	host := serve(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, first.String()) {
			blobs.Add(1)
		}
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, second.String()) && broken.Add(1) <= 2 {
			w.Header().Set("Content-Length", "9999")
			_, _ = io.WriteString(w, "part")
			w.(http.Flusher).Flush() // or else the client would not see that it had begun
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
	pushed(t, host+"/a/b:1", img)
	got, err := find(t, host+"/a/b:1", "")
	if err != nil {
		t.Fatal(err)
	}
	dir, lines, err := pull(t, got, 1<<30)
	if err != nil {
		t.Fatal(err, lines)
	}
	if _, err := os.Stat(filepath.Join(dir, "b")); err != nil || blobs.Load() != 1 || !strings.Contains(strings.Join(lines, "\n"), "broke off") {
		t.Errorf("%v, %d, %q", err, blobs.Load(), lines)
	}
}

// TestPull_twoServicesOfOneImageAtOnce pulls an image many times at once into one cache, as
// a first push of an app does whose web and worker are one image.
func TestPull_twoServicesOfOneImageAtOnce(t *testing.T) {
	t.Parallel()
	img := picture(t, runtime.GOARCH, layer(t, file("a", strings.Repeat("one", 99999))), layer(t, file("b", strings.Repeat("two", 99999))))
	host := serve(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) })
	pushed(t, host+"/a/b:1", img)
	got, err := find(t, host+"/a/b:1", "")
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	var all sync.WaitGroup
	for range 20 {
		into := t.TempDir()
		all.Go(func() {
			p := Pull{Cache: cache, Into: into, Limit: 1 << 30, Progress: func(line string) {
				if strings.Contains(line, "broke off") {
					t.Error(line)
				}
			}, Pause: time.Millisecond}
			if err := got.Pull(t.Context(), p); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(into, "b")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if left, err := os.ReadDir(cache); err != nil || len(left) > 0 {
		t.Errorf("left in the cache: %v, %v", left, err)
	}
}

func TestPull_givesUpAnImageThatIsTooLarge(t *testing.T) {
	t.Parallel()
	host := serve(t, nil)
	pushed(t, host+"/a/b:1", picture(t, runtime.GOARCH, layer(t, file("a", strings.Repeat("x", 1<<20)))))
	img, err := find(t, host+"/a/b:1", "")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = pull(t, img, 1<<19)
	wantKind(t, err, TooLarge, "larger than 0.5 MB")
	err = img.Pull(t.Context(), Pull{Cache: t.TempDir(), Into: t.TempDir(), Limit: 1 << 30, Free: 1 << 60, Progress: func(string) {}})
	wantKind(t, err, TooLarge, "free on the disk")
}

// unpackAll puts layers on each other, as one image.
func unpackAll(t *testing.T, layers ...v1.Layer) (string, error) {
	t.Helper()
	img, err := describe(picture(t, runtime.GOARCH, layers...))
	if err != nil {
		t.Fatal(err)
	}
	dir, _, err := pull(t, img, 1<<20)
	return dir, err
}

// TestUnpack_putsLayersOnEachOther has what layers of real images have.
func TestUnpack_putsLayersOnEachOther(t *testing.T) {
	t.Parallel()
	dir, err := unpackAll(t,
		layer(t, tar.Header{Name: "usr/bin/", Typeflag: tar.TypeDir}, tar.Header{Name: "bin", Typeflag: tar.TypeSymlink, Linkname: "usr/bin"},
			tar.Header{Name: "run/", Typeflag: tar.TypeDir}, tar.Header{Name: "var/run", Typeflag: tar.TypeSymlink, Linkname: "/run"},
			file("etc/a", "a"), file("etc/b", "b"), file("opt/x/1", "1"), file("opt/x/y/2", "2"), file("turns", "file"),
			tar.Header{Name: "su", Typeflag: tar.TypeReg, Mode: 0o6755}, tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777},
			tar.Header{Name: "dev/sda", Typeflag: tar.TypeBlock, Mode: 0o666}, tar.Header{Name: "pipe", Typeflag: tar.TypeFifo}),
		layer(t, file("bin/sh", "shell"), file("var/run/pid", "1"), file("etc/.wh.a", ""), file("opt/x/3", "3"), file("opt/x/.wh..wh..opq", ""),
			file(".wh.turns", ""), file("turns/into", "folder"), tar.Header{Name: "etc/again", Typeflag: tar.TypeLink, Linkname: "/etc/b"},
			file("twice", "first"), file("twice", "second"), tar.Header{Name: "out", Typeflag: tar.TypeSymlink, Linkname: "/etc/b"}))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"usr/bin/sh": "shell", "run/pid": "1", "etc/b": "b", "opt/x/3": "3", "turns/into": "folder", "etc/again": "b", "twice": "second",
	} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	for _, name := range []string{"etc/a", "opt/x/1", "opt/x/y", "dev/sda", "pipe"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there: %v", name, err)
		}
	}
	for name, want := range map[string]os.FileMode{"su": 0o755, "tmp": 0o777 | os.ModeDir | os.ModeSticky} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if to, err := os.Readlink(filepath.Join(dir, "out")); err != nil || to != "/etc/b" {
		t.Error(to, err)
	}
}

// TestUnpack_leavesTheRestOfTheMachineAlone tries every way out that a layer has.
func TestUnpack_leavesTheRestOfTheMachineAlone(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "kept"), []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: outside}
	up := tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: strings.Repeat("../", 30) + outside[1:]}
	for name, entries := range map[string][]tar.Header{
		"names that climb":           {file("../../../../../../../.."+outside+"/new", "x"), file(outside+"/new", "x")},
		"through a link":             {link, file("l/new", "x"), file("l/kept", "x")},
		"through a link that climbs": {up, file("l/new", "x"), file("l/.wh.kept", "")},
		"taken away":                 {link, file("l/.wh.kept", ""), file("l/.wh..wh..opq", ""), file(".wh..", "")},
		"a hard link out":            {{Name: "h", Typeflag: tar.TypeLink, Linkname: outside + "/kept"}, file("h", "x")},
		"a hard link through one":    {link, {Name: "h", Typeflag: tar.TypeLink, Linkname: "l/kept"}, file("h", "x")},
		"links in a circle":          {{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "b"}, {Name: "b", Typeflag: tar.TypeSymlink, Linkname: "a"}, file("a/x", "x")},
		"a file over the link":       {link, file("l", "x")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := unpackAll(t, layer(t, entries...)) // taken inside, or refused: never outside
			var e *Error
			if err != nil && (!errors.As(err, &e) || e.Kind != Malformed) {
				t.Error(err)
			}
			left, rerr := os.ReadDir(outside)
			b, ferr := os.ReadFile(filepath.Join(outside, "kept"))
			if rerr != nil || ferr != nil || len(left) != 1 || string(b) != "kept" {
				t.Errorf("%v, %q, %v, %v", left, b, rerr, ferr)
			}
		})
	}
}

// TestUnpack_foldersThatNoLayerNamesAreForAll whatever the mask of this process; it is
// not parallel because that is everybody's.
func TestUnpack_foldersThatNoLayerNamesAreForAll(t *testing.T) {
	before := syscall.Umask(0o077)
	defer syscall.Umask(before)
	dir, err := unpackAll(t, layer(t, file("srv/app/server.js", "x"), tar.Header{Name: "opt/x", Typeflag: tar.TypeDir, Mode: 0o711}))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"srv": 0o755, "srv/app": 0o755, "srv/app/server.js": 0o644, "opt": 0o755, "opt/x": 0o711} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}
