package main

import (
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// version is the one that the tests release.
const version = "1.2.3"

var made = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "titrate-release-")
	if err != nil {
		return dir, err
	}
	args := []string{"-version", version, "-out", filepath.Join(dir, "first")}
	if _, err := exec.LookPath("apt-get"); err == nil {
		cmd := exec.Command("../../packaging/image/rootfs.sh", append([]string{filepath.Join(dir, "rootfs")}, arches...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return dir, fmt.Errorf("%w\n%s", err, out)
		}
		args = append(args, "-rootfs", filepath.Join(dir, "rootfs"))
	}
	return dir, run(context.Background(), args, io.Discard)
})

// TestMain removes what was made.
func TestMain(m *testing.M) {
	code := m.Run()
	if os.Getenv("TITRATE_TEST_SLOW") != "" {
		if dir, _ := made(); dir != "" {
			os.RemoveAll(dir)
		}
	}
	os.Exit(code)
}

// released is the folder of a release.
func released(t *testing.T) string {
	t.Helper()
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("builds for two architectures: TITRATE_TEST_SLOW=1 runs it")
	}
	dir, err := made()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "first")
}

func TestRelease_twoRunsMakeTheSameBytes(t *testing.T) {
	t.Parallel()
	first, second := released(t), filepath.Join(t.TempDir(), "second")
	args := []string{"-version", version, "-out", second}
	if rootfs := filepath.Join(filepath.Dir(first), "rootfs"); exists(rootfs) {
		args = append(args, "-rootfs", rootfs)
	}
	if err := run(t.Context(), args, io.Discard); err != nil {
		t.Fatal(err)
	}
	a, b := digests(t, first), digests(t, second)
	if len(a) < 6 || len(a) != len(b) {
		t.Errorf("%d files, and %d", len(a), len(b))
	}
	for name, d := range a {
		if b[name] != d {
			t.Errorf("%s differs", name)
		}
	}
}

func digests(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	all := map[string][32]byte{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[name] = sha256.Sum256(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestProgram_isStaticAndKnowsItsVersion(t *testing.T) {
	t.Parallel()
	dir := released(t)
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		f, err := elf.Open(filepath.Join(dir, "titrate-linux-"+arch))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if f.Machine != machine {
			t.Errorf("%s: it is for %s", arch, f.Machine)
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("%s: it asks for a loader: %s", arch, p.Type)
			}
		}
	}
	out, err := exec.Command(filepath.Join(dir, "titrate-linux-"+hostArch()), "--version").Output()
	if err != nil || string(out) != "titrate "+version+"\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestSums_sha256sumFindsThemRight(t *testing.T) {
	t.Parallel()
	dir := released(t)
	cmd := exec.Command("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if n := strings.Count(string(text), "\n"); err != nil || n != len(digests(t, dir))-1 {
		t.Errorf("%d sums, %v", n, err)
	}
}

func TestMaterials_nameEveryModule(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(released(t), "titrate.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		BOMFormat  string
		Components []struct{ Name, Version, PURL string }
	}
	if err := json.Unmarshal(text, &bom); err != nil || bom.BOMFormat != "CycloneDX" {
		t.Fatal(bom, err)
	}
	found := map[string]bool{}
	for _, c := range bom.Components {
		found[c.Name] = strings.HasPrefix(c.PURL, "pkg:golang/"+c.Name+"@") && c.Version != ""
	}
	for _, name := range []string{"std", "modernc.org/sqlite", "github.com/spf13/cobra"} {
		if !found[name] {
			t.Errorf("%s is not named", name)
		}
	}
	if found["github.com/goreleaser/nfpm/v2"] {
		t.Error("a tool of the release is said to be in the program")
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// withImages is the folder of a release that has some.
func withImages(t *testing.T) string {
	t.Helper()
	dir := released(t)
	if !exists(filepath.Join(dir, "titrate-image-oci")) {
		t.Skip("images hold git from Debian's packages: there is no apt-get here")
	}
	return dir
}

func TestImage_isWholeAndRunsAsNobody(t *testing.T) {
	t.Parallel()
	dir := withImages(t)
	index, err := layout.ImageIndexFromPath(filepath.Join(dir, "titrate-image-oci"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	for _, arch := range arches {
		img, err := tarball.ImageFromPath(filepath.Join(dir, "titrate-image-"+arch+".tar"), nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := img.ConfigFile()
		if err != nil || c.Architecture != arch || c.Config.User != "65532:65532" || c.Config.Entrypoint[0] != "/usr/bin/titrate" {
			t.Errorf("%s: %+v, %v", arch, c, err)
		}
		unpacked := unpack(t, img)
		if info, err := os.Stat(filepath.Join(unpacked, "usr/bin/titrate")); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", arch, info, err)
		}
		roots, err := os.ReadFile(filepath.Join(unpacked, "etc/ssl/certs/ca-certificates.crt"))
		if n := strings.Count(string(roots), "BEGIN CERTIFICATE"); err != nil || n < 50 {
			t.Errorf("%s: %d roots, %v", arch, n, err)
		}
	}
}

func unpack(t *testing.T, img v1.Image) string {
	t.Helper()
	dir := t.TempDir()
	r := mutate.Extract(img)
	defer r.Close()
	cmd := exec.Command("tar", "-x", "-C", dir)
	cmd.Stdin = r
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// In the image alone, as its user, the server finds all that it needs.
func TestImage_theServerComesUp(t *testing.T) {
	t.Parallel()
	dir := withImages(t)
	if os.Geteuid() != 0 {
		t.Skip("namespaces and chroot are for root")
	}
	img, err := tarball.ImageFromPath(filepath.Join(dir, "titrate-image-"+hostArch()+".tar"), nil)
	if err != nil {
		t.Fatal(err)
	}
	root := unpack(t, img)
	const inside = `titrate up --api 127.0.0.1:0 --gateway 127.0.0.1:0 && titrate version &&
git init -q /tmp/x && git -C /tmp/x rev-parse --git-dir && titrate server doctor && titrate down && echo all went well`
	// What an engine does: a mount and a process namespace of its own, with proc and devices.
	const outside = `mkdir -p "$0/proc" "$0/dev" && mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" &&
exec chroot --userspec=65532:65532 "$0" /bin/sh -c "$1"`
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", outside, root, inside)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/var/lib/titrate", "TITRATE_DATA=/var/lib/titrate"}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "server  "+version) || !strings.Contains(string(out), "all went well") {
		t.Errorf("%v\n%s", err, out)
	}
}
