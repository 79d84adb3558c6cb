package container

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/engine"
	"titrate/internal/engine/enginetest"
	"titrate/internal/procfs"
	"titrate/internal/target/local/shim"
)

// asShim is the argument with which the test's program is a shim, as the launcher
// of a supervisor makes it one.
const asShim = "__shim"

// asFirst is the argument with which it is the first process of a container.
const asFirst = "__first"

type shimSpec struct {
	Spec  Spec
	Frame shim.Frame
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asFirst {
		First(os.Args[2:])
	}
	if len(os.Args) == 3 && os.Args[1] == asShim {
		var s shimSpec
		if err := json.Unmarshal([]byte(os.Args[2]), &s); err != nil {
			panic(err)
		}
		told := os.NewFile(3, "error")
		shim.Leave(shim.Run(New(s.Spec), s.Frame, func(err error) {
			if err != nil {
				fmt.Fprint(told, err)
			}
			told.Close()
		}))
	}
	os.Exit(m.Run())
}

// program answers what it is asked at :3000.
const program = `package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "exit" {
		os.Exit(5)
	}
	if len(os.Args) > 1 && os.Args[1] == "eat" {
		var kept [][]byte
		for {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = 1
			}
			kept = append(kept, b)
		}
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1, syscall.SIGTERM)
	go func() {
		s := <-asked
		fmt.Println("asked by", s)
		os.Exit(4)
	}()
	http.HandleFunc("/write", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, os.WriteFile(r.URL.Query().Get("at"), nil, 0o600))
	})
	http.HandleFunc("/get", func(w http.ResponseWriter, r *http.Request) {
		res, err := http.Get(r.URL.Query().Get("url"))
		if err != nil {
			fmt.Fprint(w, err)
			return
		}
		io.Copy(w, res.Body)
	})
	http.HandleFunc("/status", func(w http.ResponseWriter, r *http.Request) {
		b, _ := os.ReadFile("/proc/self/status")
		w.Write(b)
	})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello from ", os.Getenv("NAME")) })
	fmt.Println("begins")
	fmt.Fprintln(os.Stderr, http.ListenAndServe(os.Getenv("LISTEN"), nil))
}
`

// started is a shim that runs.
type started struct {
	cmd      *exec.Cmd
	told     string // why it did not start
	out, err string // files
	host     int
	spec     Spec
	frame    shim.Frame
}

// start starts a shim, in a session of its own as a supervisor does.
func start(t *testing.T, s Spec, f shim.Frame, change ...func(*exec.Cmd)) *started {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a folder, with a comma") // which podman takes for more in a mount
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.Init, s.Dir = []string{self, asFirst}, dir
	s.Owner, f.Listens, s.PID = "me", filepath.Join(dir, "listens"), filepath.Join(dir, "pid")
	st := &started{out: filepath.Join(dir, "out"), err: filepath.Join(dir, "err"), host: f.Host, spec: s, frame: f}
	text, err := json.Marshal(shimSpec{s, f})
	if err != nil {
		t.Fatal(err)
	}
	told, tell, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	st.cmd = exec.CommandContext(t.Context(), os.Args[0], asShim, string(text))
	st.cmd.ExtraFiles, st.cmd.SysProcAttr = []*os.File{tell}, &unix.SysProcAttr{Setsid: true}
	for to, name := range map[*io.Writer]string{&st.cmd.Stdout: st.out, &st.cmd.Stderr: st.err} {
		file, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		*to = file
	}
	for _, c := range change {
		c(st.cmd)
		self, err := os.ReadFile(os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		st.cmd.Path = filepath.Join(dir, "self")
		if err := os.WriteFile(st.cmd.Path, self, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{dir, filepath.Dir(dir), filepath.Dir(filepath.Dir(dir)), filepath.Dir(filepath.Dir(filepath.Dir(dir)))} {
			if err := os.Chmod(path, 0o777); err != nil { // the folders of a test are of who runs it
				t.Fatal(err)
			}
		}
	}
	if err := st.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tell.Close()
	why, err := io.ReadAll(told)
	if err != nil {
		t.Fatal(err)
	}
	st.told = string(why)
	return st
}

// get asks for a path until somebody answers.
func (s *started) get(t *testing.T, path string) string {
	t.Helper()
	if s.told != "" {
		t.Fatal(s.told)
	}
	for end := time.Now().Add(20 * time.Second); ; {
		res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", s.host, path))
		if err == nil {
			defer res.Body.Close()
			b, err := io.ReadAll(res.Body)
			if err != nil {
				t.Error(err)
			}
			return string(b)
		}
		if time.Now().After(end) {
			o, _ := os.ReadFile(s.out)
			e, _ := os.ReadFile(s.err)
			l, _ := os.ReadFile(s.frame.Listens)
			t.Fatalf("%v\n%s\n%s\n%s", err, o, e, l)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func (s *started) wait() (exit int, sig unix.Signal) {
	_ = s.cmd.Wait() // its state tells
	ws, _ := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ws.ExitStatus(), ws.Signal()
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestContainer(t *testing.T) {
	enginetest.Run(t, func(t *testing.T, d *enginetest.Daemon) {
		t.Helper()
		e := d.Open(t)
		t.Cleanup(func() { e.Close() })
		dir := t.TempDir()
		enginetest.Program(t, dir, program)
		enginetest.AddLibraries(t, dir) // of this program, where it is linked to any
		if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nCOPY . /\nENTRYPOINT [\"/app\"]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := engine.OpenContext(os.DirFS(dir), "")
		if err != nil {
			t.Fatal(err)
		}
		image, err := e.Build(t.Context(), c, engine.Build{}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		network, err := e.EnsureNetwork(t.Context(), "mine", nil)
		if err != nil {
			t.Fatal(err)
		}
		spec := func(name string, command ...string) Spec {
			if len(command) == 0 {
				command = []string{"/app"}
			}
			return Spec{Socket: e.Socket(), Container: engine.Container{
				Name: name, Image: image, Command: command, Network: network, Env: []string{"NAME=" + name, "LISTEN=:3000"},
				Limits: engine.Limits{Memory: 64 << 20, CPU: 1, Processes: 50},
			}}
		}
		t.Run("two on one port", func(t *testing.T) { sideBySide(t, spec) })
		t.Run("ends", func(t *testing.T) { ends(t, e, spec) })
		t.Run("walls", func(t *testing.T) { walls(t, spec) })
		t.Run("without root", func(t *testing.T) { withoutRoot(t, d, spec) })
		t.Run("engine away", func(t *testing.T) { engineAway(t, d, spec) })
		if list, err := e.Containers(t.Context(), engine.Label, "me"); err != nil || len(list) != 0 {
			t.Errorf("left: %+v, %v", list, err)
		}
	})
}

// sideBySide has two versions that listen on one port, and a service of this machine
// that they reach at its own address.
func sideBySide(t *testing.T, spec func(string, ...string) Spec) {
	t.Helper()
	at := fellow(t)
	began := time.Now()
	one := start(t, spec("one"), shim.Frame{Host: 41001, Port: 3000, Reach: []netip.AddrPort{at}})
	if got := one.get(t, "/"); got != "hello from one" {
		t.Errorf("%q", got)
	}
	t.Logf("ready in %s", time.Since(began))
	local := spec("two")
	local.Env = []string{"NAME=two", "LISTEN=127.0.0.1:3000"}
	two := start(t, local, shim.Frame{Host: 41002, Port: 3000})
	if got := two.get(t, "/"); got != "hello from two" {
		t.Errorf("%q", got)
	}
	if got := one.get(t, "/get?url=http://"+at.String()); got != "a fellow" {
		t.Errorf("a fellow service: %q", got)
	}
	if !Alive(fmt.Sprintf("%d-%d", one.cmd.Process.Pid, startTime(t, one.cmd.Process.Pid))) || Alive(fmt.Sprintf("%d-1", os.Getpid())) || Alive("") {
		t.Error("who looks after a container is told wrongly")
	}
	if pid := read(t, one.spec.PID); !strings.Contains(read(t, "/proc/"+pid+"/environ"), "NAME=one") {
		t.Errorf("%s is another process", pid)
	}
	for _, s := range []*started{one, two} {
		_ = s.cmd.Process.Signal(unix.SIGTERM)
		if code, _ := s.wait(); code != 4 || read(t, s.out) != "begins\nasked by terminated\n" {
			t.Errorf("asked to end: %d, %q, %q", code, read(t, s.out), read(t, s.err))
		}
	}
}

func ends(t *testing.T, e *engine.Engine, spec func(string, ...string) Spec) {
	t.Helper()
	if code, _ := start(t, spec("exit", "/app", "exit"), shim.Frame{}).wait(); code != 5 {
		t.Errorf("by itself: %d", code)
	}
	s := start(t, spec("eat", "/app", "eat"), shim.Frame{})
	if _, sig := s.wait(); sig != unix.SIGKILL || !strings.Contains(read(t, s.err), "it used more than its memory limit of 64 MB") {
		t.Errorf("out of memory: %v, %q", sig, read(t, s.err))
	}
	s = start(t, spec("usr1"), shim.Frame{Host: 41003, Port: 3000, Stop: unix.SIGUSR1})
	s.get(t, "/")
	_ = s.cmd.Process.Signal(unix.SIGTERM)
	if code, _ := s.wait(); code != 4 || !strings.Contains(read(t, s.out), "asked by user defined signal 1") {
		t.Errorf("by the image's signal: %d, %q", code, read(t, s.out))
	}
	s = start(t, spec("nothing", "/nothing"), shim.Frame{})
	if code, _ := s.wait(); code != 126 && code != 127 || !strings.Contains(s.told+read(t, s.err), "/nothing") {
		t.Errorf("no such program: %d, %q, %q", code, s.told, read(t, s.err))
	}
	gone := spec("gone")
	gone.Image = "sha256:" + strings.Repeat("1", 64)
	s = start(t, gone, shim.Frame{})
	if code, _ := s.wait(); code != 126 || !strings.Contains(s.told, "has the image sha256:111111111111… no more") {
		t.Errorf("no such image: %d, %q", code, s.told)
	}
	// A shim that is killed: what it leaves is swept away, or goes with the next one of its name.
	for _, next := range []bool{true, false} {
		s = start(t, spec("killed"), shim.Frame{Host: 41004, Port: 3000})
		s.get(t, "/")
		_ = s.cmd.Process.Kill()
		s.wait()
		if next {
			s = start(t, spec("killed", "/app", "exit"), shim.Frame{})
			if code, _ := s.wait(); code != 5 {
				t.Errorf("after one that was killed: %d, %q", code, s.told)
			}
			continue
		}
		if err := e.Sweep(t.Context(), "me", Alive, func(string) bool { return true }); err != nil {
			t.Error(err)
		}
	}
}

func walls(t *testing.T, spec func(string, ...string) Spec) {
	t.Helper()
	closed := spec("closed")
	closed.ReadOnly = true
	s := start(t, closed, shim.Frame{Host: 41005, Port: 3000})
	if got := s.get(t, "/write?at=/x"); !strings.Contains(got, "read-only") {
		t.Errorf("a read-only root: %q", got)
	}
	if got := s.get(t, "/write?at=/tmp/x"); got != "%!v(<nil>)" && got != "<nil>" {
		t.Errorf("/tmp: %q", got)
	}
	status := s.get(t, "/status")
	// chown, dac_override, fowner, fsetid, kill, setgid, setuid, net_bind_service, sys_chroot
	for _, want := range []string{"NoNewPrivs:\t1", "CapEff:\t00000000000404fb", "CapBnd:\t00000000000404fb"} {
		if !strings.Contains(status, want) {
			t.Errorf("%s is not in\n%s", want, status)
		}
	}
	_ = s.cmd.Process.Signal(unix.SIGTERM)
	s.wait()
	other := spec("other")
	other.Env = []string{"LISTEN=:5000"}
	s = start(t, other, shim.Frame{Host: 41006, Port: 3000})
	for end := time.Now().Add(20 * time.Second); ; {
		if b, _ := os.ReadFile(s.frame.Listens); strings.Contains(string(b), "the process listens on :5000") {
			break
		}
		if time.Now().After(end) {
			b, _ := os.ReadFile(s.frame.Listens)
			t.Errorf("where the program listens is not told: %q %q", b, read(t, s.err))
			break
		}
		<-time.After(5 * time.Millisecond)
	}
	_ = s.cmd.Process.Signal(unix.SIGTERM)
	s.wait()
}

// withoutRoot has the shim of somebody who may use the engine and is not root.
func withoutRoot(t *testing.T, d *enginetest.Daemon, spec func(string, ...string) Spec) {
	t.Helper()
	const nobody = 65534
	d.Open(t).Close()
	sock := strings.TrimPrefix(d.Host(), "unix://")
	for _, path := range []string{filepath.Dir(sock), sock} {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	at := fellow(t)
	s := start(t, spec("user"), shim.Frame{Host: 41008, Port: 3000, Reach: []netip.AddrPort{at}}, func(cmd *exec.Cmd) {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	})
	if s.told != "" {
		t.Fatal(s.told)
	}
	if got := s.get(t, "/"); got != "hello from user" {
		t.Errorf("%q", got)
	}
	if got := s.get(t, "/get?url=http://"+at.String()); got != "a fellow" {
		t.Errorf("a fellow service: %q", got)
	}
	_ = s.cmd.Process.Signal(unix.SIGTERM)
	if code, _ := s.wait(); code != 4 {
		t.Errorf("%d, %q", code, read(t, s.err))
	}
}

// fellow is a service of this machine that containers reach at its own address.
func fellow(t *testing.T) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.16.0.9:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a fellow") })}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return netip.MustParseAddrPort(ln.Addr().String())
}

// engineAway has the engine go away under a container: who calls it notices nothing.
func engineAway(t *testing.T, d *enginetest.Daemon, spec func(string, ...string) Spec) {
	t.Helper()
	s := start(t, spec("away"), shim.Frame{Host: 41007, Port: 3000})
	s.get(t, "/")
	d.Kill()
	if got := s.get(t, "/"); got != "hello from away" {
		t.Errorf("%q", got)
	}
	none := start(t, spec("none"), shim.Frame{})
	if code, _ := none.wait(); code != 126 || !strings.Contains(none.told, "does not answer") {
		t.Errorf("a start without an engine: %d, %q", code, none.told)
	}
	d.Start(t)
	if got := s.get(t, "/"); got != "hello from away" {
		t.Errorf("%q", got)
	}
	_ = s.cmd.Process.Signal(unix.SIGTERM)
	if code, _ := s.wait(); code != 4 {
		t.Errorf("%d", code)
	}
}

func startTime(t *testing.T, pid int) uint64 {
	t.Helper()
	n, err := procfs.StartTime(pid)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
