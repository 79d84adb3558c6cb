package local

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"titrate/internal/engine/enginetest"
	"titrate/internal/procfs"
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
	files := map[string]string{"/app": self, "/bin/sh": "/bin/sh", "/bin/sleep": "/bin/sleep"}
	enginetest.AddLibraries(tb, root, "/bin/sh", "/bin/sleep")
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

// familyOf is the session that process pid leads.
func familyOf(t *testing.T, pid int) family {
	t.Helper()
	start, err := procfs.StartTime(pid)
	if err != nil {
		t.Fatal(err)
	}
	return family{token: "of nobody", pid: pid, start: start}
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

// TestImage_reachesTheWorldThroughSlirp4netns needs slirp4netns on $PATH, and a server
// on an address of this machine that is not the loopback.
func TestImage_reachesTheWorldThroughSlirp4netns(t *testing.T) {
	t.Parallel()
	needImages(t)
	if egress() == "" {
		t.Skip("slirp4netns is not installed here")
	}
	ip := outward(t)
	ln, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	world := &httptest.Server{Listener: ln, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the world") })}}
	world.Start()
	t.Cleanup(world.Close)
	here := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(here.Close)
	dir := newFolder(t)
	addPicture(t, dir)
	b := newBench(t, dir)
	f := imaged(run(1, 1, "serve"))
	f.Image.User = "" // without root there is no way out for others
	b.want(f)
	e := b.untilReady(1, 1)[0]
	if got := get(t, e.Addr, "/fetch?url="+world.URL); got != "the world" {
		t.Errorf("outside: %q", got)
	}
	if got := get(t, e.Addr, "/fetch?url="+strings.Replace(here.URL, "127.0.0.1", "10.0.2.2", 1)); !strings.Contains(got, "refused") && !strings.Contains(got, "unreachable") {
		t.Errorf("this machine's loopback: %q", got)
	}
	if got := get(t, e.Addr, "/cat?path=/etc/resolv.conf"); got != "nameserver 10.0.2.3" {
		t.Errorf("resolv.conf: %q", got)
	}
	seen, _ := b.Seen()
	all := familyOf(t, seen.instance("orders-v1-a").PID)
	if n := len(all.session()); n != 4 && n != 5 { // slirp4netns may be two
		t.Errorf("it is %d processes", n)
	}
	b.want()
	b.until("all is gone", func(s Seen) bool { return len(s.Instances) == 0 && len(all.session()) == 0 })
}

// outward is an address of this machine at which others reach it.
func outward(t *testing.T) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
			return p.Addr().String()
		}
	}
	t.Skip("this machine has no address but its loopback")
	return ""
}

func TestStopSignal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]unix.Signal{"": unix.SIGTERM, "SIGQUIT": unix.SIGQUIT, "quit": unix.SIGQUIT, "3": unix.SIGQUIT, "SIGRTMIN+3": 37, "RTMIN": 34} {
		if got, err := stopSignal(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"SIGNOTHING", "0", "65", "-1", "RTMIN+x", "RTMIN+31"} {
		if got, err := stopSignal(text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func TestLoopbackURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"http://127.16.0.1:4000/x": "127.16.0.1:4000", "postgres://u:p@localhost:5432/shop": "127.0.0.1:5432", "redis://[::1]:6379": "[::1]:6379",
		"127.0.0.1:8080": "", "http://127.0.0.1": "", "https://example.org:443": "", "http://10.0.0.1:80": "", "http://127.0.0.1:99999": "", "://": "",
	} {
		got, ok := loopbackURL(text)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q: %s, %t", text, got, ok)
		}
	}
}

func TestImagePort(t *testing.T) {
	t.Parallel()
	for want, f := range map[int]world.Fleet{
		3000: {Port: 3000, Image: &world.Image{Ports: []int{80}}}, 80: {Image: &world.Image{Ports: []int{80}}}, 8080: {Image: &world.Image{Ports: []int{80, 443}}},
	} {
		if got := imagePort(f); got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
}
