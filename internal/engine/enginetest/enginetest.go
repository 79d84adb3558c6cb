// Package enginetest gives tests a container engine of their own: this machine's Docker
// or podman, of root or of a user without any rights, in a private network, mount and
// process namespace, which ends with the test.
package enginetest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"titrate/internal/engine"
)

// Kind is an engine as it is installed here and there.
type Kind struct {
	Name     string // what it says that it is
	Rootless bool   // a user runs it, and the test
}

// The kinds of engines.
var (
	Docker         = Kind{Name: "Docker"}
	Podman         = Kind{Name: "Podman"}
	RootlessDocker = Kind{Name: "Docker", Rootless: true}
	RootlessPodman = Kind{Name: "Podman", Rootless: true}
)

// dockerd is how Debian starts Docker for a user.
const dockerdRootless = "/usr/share/docker.io/contrib/dockerd-rootless.sh"

// needs lists the programs by which it is started and used.
func (k Kind) needs() []string {
	need := []string{"unshare", "ip", "iptables", strings.ToLower(k.Name)}
	if k.Name == Docker.Name {
		need[3] = "dockerd"
	}
	if k.Rootless {
		need = append(need, "newuidmap", "slirp4netns", "setpriv")
		if k.Name == Docker.Name {
			need = append(need, "rootlesskit", dockerdRootless)
		}
	}
	return need
}

// inside says, in the environment, that this process has namespaces of its own, and
// asUser that it is the user's.
const (
	inside = "TITRATE_TEST_INSIDE"
	asUser = "user"
)

// Run runs a test with Docker or, with TITRATE_TEST_ENGINE=podman, with podman.
func Run(t *testing.T, test func(t *testing.T, d *Daemon)) {
	t.Helper()
	run(t, ordinary(), nil, 0, test)
}

func ordinary() Kind {
	if os.Getenv("TITRATE_TEST_ENGINE") == "podman" {
		return Podman
	}
	return Docker
}

// RunSmall runs a test with Docker on a disk of its own of so many megabytes, which asks a
// registry that breaks off once and not for minutes.
func RunSmall(t *testing.T, megabytes int, test func(t *testing.T, d *Daemon)) {
	t.Helper()
	run(t, Docker, nil, megabytes, test)
}

// RunOnline is [Run] with a way out of the network, by slirp4netns: what runs in the
// engine reaches what this machine reaches.
func RunOnline(t *testing.T, test func(t *testing.T, d *Daemon)) {
	t.Helper()
	if _, err := exec.LookPath("slirp4netns"); err != nil {
		t.Skip("needs a network for an engine: no slirp4netns here")
	}
	run(t, ordinary(), &egress{}, 0, test)
}

// RunWith runs a test with an engine. The engine and the test share namespaces, so that
// addresses and process numbers agree: the test's program runs once more inside of
// them, for this test alone. Such a test is a top-level one and begins with RunWith.
func RunWith(t *testing.T, k Kind, test func(t *testing.T, d *Daemon)) {
	t.Helper()
	run(t, k, nil, 0, test)
}

func run(t *testing.T, k Kind, out *egress, small int, test func(t *testing.T, d *Daemon)) {
	t.Helper()
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("needs a container engine: set TITRATE_TEST_SLOW=1")
	}
	for _, program := range k.needs() {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs a container engine: no %s here", program)
		}
	}
	switch at := os.Getenv(inside); {
	case at == "" && os.Geteuid() != 0:
		t.Skip("needs a container engine: only root can start one")
	case at == "":
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		// Removed from outside: what is mounted within is gone then, and whose files are
		// whose does not matter.
		all := dir(t)
		if err := os.Chmod(all, 0o777|os.ModeSticky); err != nil {
			t.Fatal(err)
		}
		again(t, out, []string{inside + "=root", "TMPDIR=" + all}, "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
			// The shell is the first process: it reaps what a killed engine leaves behind.
			"sh", "-c", `"$@"; exit $?`, "sh", self)
	case at != asUser:
		shell(t, "ip link set lo up")
		out.await(t)
		if k.Rootless {
			user(t)
			return
		}
		fallthrough
	default:
		d := &Daemon{Kind: k, dir: dir(t), small: small > 0}
		if d.small {
			shell(t, `mkdir "$1" && mount -t tmpfs -o size="$2"m none "$1"`, d.Data(), strconv.Itoa(small))
		}
		if k == Podman { // what it keeps in places that cannot be told it
			hide(t, "/run", "/var/lib")
		}
		d.Start(t)
		t.Cleanup(d.Kill)
		test(t, d)
	}
}

// again runs this test once more, by a command that runs the program which follows it,
// and gives it a way out where there is one.
func again(t *testing.T, out *egress, env []string, command ...string) {
	t.Helper()
	args := append(command, "-test.run=^"+t.Name()+"$", "-test.timeout=20m")
	if testing.Verbose() {
		args = append(args, "-test.v")
	}
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.open(t, cmd.Process.Pid)
	err := cmd.Wait()
	switch {
	case bytes.Contains(said.Bytes(), []byte("--- SKIP")) && err == nil && !bytes.Contains(said.Bytes(), []byte("--- PASS")):
		t.Skipf("%s", &said)
	case err != nil:
		t.Fatalf("%v\n%s", err, &said)
	default:
		t.Logf("%s", &said)
	}
}

// user runs this test once more as a user that this machine, as this namespace sees it,
// has for that alone.
func user(t *testing.T) {
	t.Helper()
	home := dir(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	shell(t, `
		mount --make-rshared /
		cd "$1"
		cp /etc/passwd /etc/group .
		echo "tester:x:64000:64000::$1:/bin/sh" >>passwd
		echo "tester:x:64000:" >>group
		for f in subuid subgid; do
			echo "tester:1000000:65536" >$f
			[ -e /etc/$f ] || touch /etc/$f
		done
		for f in passwd group subuid subgid; do mount --bind $f /etc/$f; done
		mkdir -m 700 xdg
		cp "$2" self
		chown 64000:64000 . xdg
	`, home, self)
	t.Cleanup(func() { shell(t, `umount /etc/passwd /etc/group /etc/subuid /etc/subgid`) })
	again(t, nil, []string{inside + "=" + asUser, "HOME=" + home, "USER=tester", "XDG_RUNTIME_DIR=" + filepath.Join(home, "xdg")},
		"setpriv", "--reuid=64000", "--regid=64000", "--clear-groups", filepath.Join(home, "self"))
}

// shell runs a script.
func shell(t *testing.T, script string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "sh", append([]string{"-euc", script, "sh"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

// hide puts empty folders over some that this namespace has from the machine.
func hide(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		shell(t, `mount -t tmpfs none "$1"`, dir)
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
	Kind
	// Forgets says that the containers end with it, which is how Docker comes. It
	// holds from the next Start on.
	Forgets bool

	dir   string
	small bool // see [RunSmall]
	cmd   *exec.Cmd

	ended chan struct{} // closed when cmd has
}

// Data returns the folder where it keeps images.
func (d *Daemon) Data() string { return filepath.Join(d.dir, "data") }

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
	if d.Name == Podman.Name {
		d.cmd = d.podman(t)
	}
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a user's engine is more than one process
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
		_, err := e.Version(context.Background())
		if err == nil {
			return
		}
		select {
		case <-ended:
			t.Fatalf("the engine ended by itself:\n%s", d.lastLog())
		case <-deadline:
			t.Fatalf("the engine does not answer: %v\n%s", err, d.lastLog())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (d *Daemon) dockerd(t *testing.T) *exec.Cmd {
	t.Helper()
	os.Remove(filepath.Join(d.dir, "pid"))
	args := []string{
		"-H", d.Host(), "--data-root", filepath.Join(d.dir, "data"), "--exec-root", filepath.Join(d.dir, "exec"),
		"--pidfile", filepath.Join(d.dir, "pid"), "--bip", "172.30.0.1/24", "--default-address-pool", "base=172.31.0.0/16,size=24",
	}
	if d.Rootless {
		return exec.CommandContext(context.WithoutCancel(t.Context()), dockerdRootless, append(args, "--storage-driver", "vfs")...)
	}
	args = append(args, "--cgroup-parent", "/"+filepath.Base(d.dir))
	if d.small {
		args = append(args, "--max-download-attempts", "1")
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
	cmd.Dir = d.dir // conmon leaves a file where it is when memory runs out
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
	_ = syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL) // not reaped yet, or ended before
	<-d.ended
	// Docker's containerd ends by itself then. One that found it ending would wait for it
	// to answer.
	text, err := os.ReadFile(filepath.Join(d.dir, "exec", "containerd", "containerd.pid"))
	if err != nil || d.Rootless { // or it has another number for us
		return
	}
	at := filepath.Join("/proc", strings.TrimSpace(string(text)), "exe")
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-time.After(5 * time.Millisecond) {
		if name, err := os.Readlink(at); err != nil || filepath.Base(name) != "containerd" {
			return
		}
	}
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

// AddLibraries copies the libraries that this program and some others are linked to
// into a folder, which is to be a root; a program without a C library has none.
func AddLibraries(tb testing.TB, dir string, programs ...string) {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	out, _ := exec.CommandContext(tb.Context(), "ldd", append([]string{self}, programs...)...).Output() // fails of a static program
	for _, m := range regexp.MustCompile(`(/\S+) \(0x`).FindAllStringSubmatch(string(out), -1) {
		b, err := os.ReadFile(m[1])
		to := filepath.Join(dir, m[1])
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o755)
		}
		if err == nil {
			err = os.WriteFile(to, b, 0o755)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
}
