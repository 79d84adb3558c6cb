package test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"titrate/client"
	"titrate/internal/daemon"
	"titrate/internal/demo"
)

// manager is what systemd is to a unit: it holds the listening sockets, starts the
// program with them, and is told how it is. It restarts nothing.
type manager struct {
	api, gateway string // addresses
	main         *exec.Cmd
	ended        chan error

	mu     sync.Mutex
	states []string // what it was told, in order
	told   chan struct{}
}

// startUnder runs titrate up under a manager of its own.
func startUnder(t *testing.T, program, data string, env []string) *manager {
	t.Helper()
	m := &manager{ended: make(chan error, 1), told: make(chan struct{})}
	// Its path must be short, and the test's own folder's is not.
	dir, err := os.MkdirTemp("", "titrate-notify-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { notify.Close() })
	go m.listen(notify)
	// The shell is there because LISTEN_PID must be the number of the program's process.
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" up --foreground --data "$1"`, program, data)
	for _, addr := range []*string{&m.api, &m.gateway} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close(); l.Close() })
		*addr = l.Addr().String()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	cmd.Env = append(env, "LISTEN_FDS=2", "LISTEN_FDNAMES=api:gateway", "NOTIFY_SOCKET="+filepath.Join(dir, "s"), "WATCHDOG_USEC=400000")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m.main = cmd
	go func() { m.ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("titrate's log:\n%s", text)
		}
		for _, p := range processesOf(data) {
			p.Kill()
		}
	})
	return m
}

func (m *manager) listen(c *net.UnixConn) {
	b := make([]byte, 4096)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		m.mu.Lock()
		m.states = append(m.states, strings.Split(string(b[:n]), "\n")...)
		close(m.told)
		m.told = make(chan struct{})
		m.mu.Unlock()
	}
}

// await waits until the manager was told all of want in this order, after its first
// `from` states, and returns how many there are then.
func (m *manager) await(t *testing.T, from int, want ...string) int {
	t.Helper()
	deadline := time.After(patience)
	for {
		m.mu.Lock()
		states, told := m.states[from:], m.told
		m.mu.Unlock()
		left := want
		for i, s := range states {
			if strings.HasPrefix(s, left[0]) {
				if left = left[1:]; len(left) == 0 {
					return from + i + 1
				}
			}
		}
		select {
		case <-told:
		case <-deadline:
			t.Fatalf("not told %q; told %q", left, states)
		}
	}
}

func (m *manager) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.states)
}

// versioned builds the program with a version of its own.
func versioned(t *testing.T, version string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "titrate")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-X titrate/internal/daemon.release="+version, "-o", path, "titrate/cmd/titrate").CombinedOutput()
	if err != nil {
		t.Fatalf("build titrate: %v\n%s", err, out)
	}
	return path
}

// install puts a program where the unit finds it, as a package manager does: by a
// rename, so that what runs goes on.
func install(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(to+".new", b, 0o755), os.Rename(to+".new", to)); err != nil {
		t.Fatal(err)
	}
}

const upgradeManifest = `titrate: 1
app: app
services:
  web:
    build: .
    health: /healthz
    host: app.localhost
    rollout: { steps: [10% for 2s, 50% until approved, 100%] }
    bake: 0s
    alarms: { errors: 5xx > 50% for 10s }
`

// The whole promise: under load, with a rollout under way, the unit's process becomes
// the newer program and then the older one again. No request fails, the rollout goes
// on, and what is stored stays.
func TestUpgrade_thereAndBackUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("slow: TITRATE_TEST_SLOW=1 runs it")
	}
	older, newer := versioned(t, "1.0.0"), versioned(t, "1.1.0")
	dir := t.TempDir()
	program, data := filepath.Join(dir, "titrate"), filepath.Join(dir, "data")
	install(t, older, program)
	env := append(append(os.Environ(), "TITRATE_DATA="+data, "HOME="+dir), goEnvironment(t)...)
	m := startUnder(t, program, data, env)
	at := m.await(t, 0, "READY=1", "WATCHDOG=1", "WATCHDOG=1")
	p := platformOf(t, m, program, data, dir, env)
	if p.API != "http://"+m.api || p.Gateway != "http://"+m.gateway || p.Version != "1.0.0" && !strings.HasPrefix(p.Version, "1.0.0+") {
		t.Fatalf("up: %+v; want the manager's sockets %s and %s", p.Running, m.api, m.gateway)
	}
	push(t, p, "one")
	awaitRollout(t, p, func(r client.Rollout) bool { return r.Outcome == "promoted" })
	rates := []*load{startLoad(p.Gateway, "app.localhost", 150), freshLoad(p.Gateway, "app.localhost", 50)}
	push(t, p, "two")
	second := awaitRollout(t, p, func(r client.Rollout) bool { return r.Phase == "shifting" && r.Outcome == "" })

	became := func(version string) {
		t.Helper()
		out, err := titrate(p, "up", "--replace")
		if err != nil {
			t.Fatalf("up --replace: %v\n%s", err, out)
		}
		at = m.await(t, at, "RELOADING=1", "MONOTONIC_USEC=", "READY=1")
		r, err := daemon.ReadRunning(data)
		if err != nil || r.PID != m.main.Process.Pid || !strings.HasPrefix(r.Version, version) {
			t.Fatalf("after the upgrade: %+v, %v; want %s in process %d", r, err, version, m.main.Process.Pid)
		}
		if s, err := p.Client.Server(t.Context()); err != nil || !strings.HasPrefix(s.Version, version) {
			t.Fatalf("the server is %+v, %v", s, err)
		}
	}
	install(t, newer, program)
	became("1.1.0")
	install(t, older, program)
	became("1.0.0")
	// A program that cannot even start is not taken over to, and nothing happens.
	if err := os.WriteFile(program+".broken", []byte("#!/nonexistent\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	install(t, program+".broken", program)
	if err := m.main.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	at = m.await(t, m.count(), "WATCHDOG=1", "WATCHDOG=1")
	install(t, newer, program)
	became("1.1.0")
	awaitRollout(t, p, func(r client.Rollout) bool { return r.Step == 2 && !r.Arrived.IsZero() })
	if out, err := titrate(p, "rollout", "promote"); err != nil {
		t.Fatalf("promote: %v\n%s", err, out)
	}
	if r := awaitRollout(t, p, func(r client.Rollout) bool { return r.Outcome == "promoted" }); r.ID != second.ID {
		t.Errorf("rollout %d ended, and %d was under way", r.ID, second.ID)
	}
	for _, l := range rates {
		sum := l.stop()
		if l.dropped > 0 || l.said["one"]+l.said["two"] != l.requests || l.said["two"] == 0 {
			t.Errorf("requests were lost: %s", sum)
		}
		t.Log(strings.TrimSpace(sum))
	}

	if err := m.main.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.await(t, at, "STOPPING=1")
	if err := <-m.ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
	if left := processesOf(data); len(left) > 0 {
		t.Errorf("%d processes are left", len(left))
	}
}

// A program elsewhere cannot take over from one that a service manager would start again.
func TestUpgrade_ofAnotherProgramThanTheUnitsIsRefused(t *testing.T) {
	t.Parallel()
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("slow: TITRATE_TEST_SLOW=1 runs it")
	}
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program, data := filepath.Join(dir, "titrate"), filepath.Join(dir, "data")
	install(t, filepath.Join(bin, "titrate"), program)
	env := append(os.Environ(), "TITRATE_DATA="+data, "HOME="+dir)
	m := startUnder(t, program, data, env)
	m.await(t, 0, "READY=1")
	cmd := exec.Command(filepath.Join(bin, "titrate"), "up", "--replace")
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "T0730") || !strings.Contains(string(out), program) {
		t.Errorf("got %v\n%s", err, out)
	}
	if err := m.main.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-m.ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// platformOf is what the manager runs, with a repository that is pushed to it.
func platformOf(t *testing.T, m *manager, program, data, dir string, env []string) *demo.Platform {
	t.Helper()
	r, err := daemon.ReadRunning(data)
	if err != nil {
		t.Fatal(err)
	}
	p := &demo.Platform{Program: program, Dir: dir, App: "app", Env: env, Running: r}
	token, err := daemon.Token(data)
	if err != nil {
		t.Fatal(err)
	}
	p.Client = &client.Client{URL: r.API, Token: token}
	if err := p.Repository(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

func push(t *testing.T, p *demo.Platform, text string) {
	t.Helper()
	for name, content := range map[string]string{
		"titrate.yaml": upgradeManifest, "main.go": string(appSource), "go.mod": "module app\n\ngo 1.26\n",
		"behave.go": fmt.Sprintf("package main\n\nconst mode, text = %q, %q\n", "good", text),
	} {
		if err := os.WriteFile(filepath.Join(p.Work(), name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Commit(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	if said, err := p.Push(t.Context()); err != nil {
		t.Fatal(err, said)
	}
}

// awaitRollout waits until the newest rollout is as ok says.
func awaitRollout(t *testing.T, p *demo.Platform, ok func(client.Rollout) bool) client.Rollout {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		rs, err := p.Client.Rollouts(t.Context(), client.RolloutQuery{App: p.App})
		if err == nil && len(rs) > 0 && ok(rs[0]) {
			return rs[0]
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s; last seen: %+v, %v", patience, rs, err)
		}
	}
}

func titrate(p *demo.Platform, args ...string) (string, error) {
	cmd := exec.Command(p.Program, args...)
	cmd.Env = p.Env
	out, err := cmd.CombinedOutput()
	return string(out), err
}
