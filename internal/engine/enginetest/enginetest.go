// Package enginetest gives tests a container engine of their own: the machine's
// dockerd or, with TITRATE_TEST_ENGINE=podman, its podman, in a private network, mount
// and process namespace, which ends with the test.
package enginetest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"titrate/internal/engine"
)

// inside says, in the environment, that this process has namespaces of its own.
const inside = "TITRATE_TEST_INSIDE"

// Run runs a test with an engine. The engine and the test share namespaces, so that
// addresses and process numbers agree: the test's program runs once more inside of
// them, for this test alone. Such a test is a top-level one and begins with Run,
// or with t.Parallel and Run.
func Run(t *testing.T, test func(t *testing.T, d *Daemon)) {
	t.Helper()
	run(t, nil, test)
}

// RunOnline is [Run] with a way out of the network, by slirp4netns: what runs in the
// engine reaches what this machine reaches.
func RunOnline(t *testing.T, test func(t *testing.T, d *Daemon)) {
	t.Helper()
	if _, err := exec.LookPath("slirp4netns"); err != nil {
		t.Skip("needs a network for an engine: no slirp4netns here")
	}
	run(t, &egress{}, test)
}

func run(t *testing.T, out *egress, test func(t *testing.T, d *Daemon)) {
	t.Helper()
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("needs a container engine: set TITRATE_TEST_SLOW=1")
	}
	engine := "dockerd"
	if podman() {
		engine = "podman"
	}
	for _, program := range []string{engine, "unshare", "ip", "iptables"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs a container engine: no %s here", program)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("needs a container engine: only root can start one")
	}
	if os.Getenv(inside) != "" {
		if out, err := exec.CommandContext(t.Context(), "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			t.Fatalf("bring the loopback up: %v\n%s", err, out)
		}
		out.await(t)
		d := &Daemon{dir: dir(t)}
		if podman() { // what it keeps in places that cannot be told it
			hide(t, "/run", "/var/lib")
		}
		d.Start(t)
		t.Cleanup(d.Kill)
		test(t, d)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{
		"--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
		// The shell is the first process: it reaps what a killed engine leaves behind.
		"sh", "-c", `"$@"; exit $?`, "sh", self, "-test.run=^" + t.Name() + "$", "-test.timeout=20m",
	}
	if testing.Verbose() {
		args = append(args, "-test.v")
	}
	cmd := exec.CommandContext(t.Context(), "unshare", args...)
	cmd.Env = append(os.Environ(), inside+"=1")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.open(t, cmd.Process.Pid)
	err = cmd.Wait()
	switch {
	case bytes.Contains(said.Bytes(), []byte("--- SKIP")) && err == nil && !bytes.Contains(said.Bytes(), []byte("--- PASS")):
		t.Skipf("%s", &said)
	case err != nil:
		t.Fatalf("%v\n%s", err, &said)
	default:
		t.Logf("%s", &said)
	}
}

// podman reports whether tests are to have podman.
func podman() bool { return os.Getenv("TITRATE_TEST_ENGINE") == "podman" }

// hide puts empty folders over some that this namespace has from the machine.
func hide(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "none", dir).CombinedOutput(); err != nil {
			t.Fatalf("hide %s: %v\n%s", dir, err, out)
		}
	}
}

// dir makes the engine's folder; short, because a socket's path is.
func dir(t *testing.T) string {
	t.Helper()
	d, err := os.MkdirTemp("", "eng")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(d) })
	return d
}

// Daemon is the test's engine.
type Daemon struct {
	// Forgets says that the containers end with it, which is how Docker comes. It
	// holds from the next Start on.
	Forgets bool

	dir string
	cmd *exec.Cmd

	ended chan struct{} // closed when cmd has
}

// Name returns what it says that it is.
func (d *Daemon) Name() string {
	if podman() {
		return "Podman"
	}
	return "Docker"
}

// Host returns where it answers.
func (d *Daemon) Host() string { return "unix://" + filepath.Join(d.dir, "d.sock") }

// Start starts it, again after [Daemon.Kill], and returns when it answers.
func (d *Daemon) Start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	d.cmd = d.dockerd(t)
	if podman() {
		d.cmd = d.podman(t)
	}
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e := d.Open(t)
	defer e.Close() //nolint:errcheck // nothing was written
	cmd, ended := d.cmd, make(chan struct{})
	d.ended = ended
	go func() {
		_ = cmd.Wait() // killed
		close(ended)
	}()
	for deadline := time.After(time.Minute); ; {
		if _, err := e.Version(context.Background()); err == nil {
			return
		}
		select {
		case <-ended:
			t.Fatalf("the engine ended by itself:\n%s", d.lastLog())
		case <-deadline:
			t.Fatalf("the engine does not answer:\n%s", d.lastLog())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (d *Daemon) dockerd(t *testing.T) *exec.Cmd {
	t.Helper()
	os.Remove(filepath.Join(d.dir, "pid"))
	args := []string{
		"-H", d.Host(), "--data-root", filepath.Join(d.dir, "data"), "--exec-root", filepath.Join(d.dir, "exec"),
		"--pidfile", filepath.Join(d.dir, "pid"), "--cgroup-parent", "/" + filepath.Base(d.dir), "--bip", "172.30.0.1/24",
		"--default-address-pool", "base=172.31.0.0/16,size=24",
	}
	if !d.Forgets {
		args = append(args, "--live-restore")
	}
	return exec.CommandContext(context.WithoutCancel(t.Context()), "dockerd", args...)
}

func (d *Daemon) podman(t *testing.T) *exec.Cmd {
	t.Helper()
	policy := filepath.Join(d.dir, ".config", "containers", "policy.json")
	if err := os.MkdirAll(filepath.Dir(policy), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(policy, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "podman", "--root", filepath.Join(d.dir, "data"), "--runroot", filepath.Join(d.dir, "run"),
		"--tmpdir", filepath.Join(d.dir, "tmp"), "--network-config-dir", filepath.Join(d.dir, "net"), "--cgroup-manager", "cgroupfs", "--storage-driver", "vfs",
		"system", "service", "--time", "0", d.Host())
	cmd.Env = append(os.Environ(), "HOME="+d.dir)
	return cmd
}

func (d *Daemon) lastLog() string {
	b, _ := os.ReadFile(filepath.Join(d.dir, "log"))
	lines := strings.Split(string(b), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// Kill ends it as a crash does: what it runs, runs on.
func (d *Daemon) Kill() {
	_ = d.cmd.Process.Kill()
	<-d.ended
}

// Open returns a client of it.
func (d *Daemon) Open(t *testing.T) *engine.Engine {
	t.Helper()
	e, err := engine.Open(d.Host())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Tag gives an image another name.
func (d *Daemon) Tag(t *testing.T, id, as string) {
	t.Helper()
	api, err := client.New(client.WithHost(d.Host()))
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close() //nolint:errcheck // nothing was written
	if _, err := api.ImageTag(t.Context(), client.ImageTagOptions{Source: id, Target: as}); err != nil {
		t.Fatal(err)
	}
}

// Program compiles a Go program without a C library into dir/app.
func Program(t *testing.T, dir, source string) {
	t.Helper()
	src := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(src, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "app"), src)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
