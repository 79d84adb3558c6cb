package local

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// picture is the digest of the tests' image: this program, and nothing else that it
// does not need.
var picture = strings.Repeat("cd", 32)

// needImages skips where no namespaces can be had.
func needImages(tb testing.TB) {
	tb.Helper()
	if err := CheckImages(tb.Context(), tb.TempDir()); err != nil {
		tb.Skip(err)
	}
}

// addPicture puts the image among the artifacts of a data folder.
func addPicture(tb testing.TB, dir string) {
	tb.Helper()
	root := filepath.Join(dir, "artifacts", picture)
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	files := map[string]string{"/app": self, "/bin/sh": "/bin/sh"}
	out, _ := exec.Command("ldd", self, "/bin/sh").Output() // fails of a static program
	for _, m := range regexp.MustCompile(`(/\S+) \(0x`).FindAllStringSubmatch(string(out), -1) {
		files[m[1]] = m[1]
	}
	for to, from := range files {
		to = filepath.Join(root, to)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			tb.Fatal(err)
		}
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, b, 0o755)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc", "passwd"), []byte("root:x:0:0::/root:/app\napp:x:1000:1000::/home/app:/app\n"), 0o644); err != nil {
		tb.Fatal(err)
	}
}

// imaged is fleet f of the tests' image.
func imaged(f world.Fleet) world.Fleet {
	f.Artifact, f.Image = picture, &rollout.Image{Digest: "sha256:" + picture, Entrypoint: []string{"/app"}, User: "app"}
	f.Command[0] = "/app"
	return f
}

func TestImage_serves(t *testing.T) {
	t.Parallel()
	needImages(t)
	dir := newFolder(t)
	addPicture(t, dir)
	b := newBench(t, dir)
	b.want(imaged(run(1, 2, "serve")))
	e := b.untilReady(1, 2)
	t.Log(get(t, e[0].Addr, "/env"))
	t.Log(get(t, e[0].Addr, "/pid"))
	b.want()
	b.until("gone", func(s Seen) bool { return len(s.Instances) == 0 })
}
