package within

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/procfs"
	"titrate/internal/target/local/shim"
)

// TestMain lets this program be a first process, and what one runs.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "__first":
		if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
			panic(err)
		}
		if err := loopbackUp(); err != nil {
			panic(err)
		}
		first, err := Enter(os.NewFile(3, "line"))
		if err != nil {
			panic(err)
		}
		first.Run(Program{Argv: append([]string{os.Args[0]}, os.Args[2:]...), Env: os.Environ(), Dir: "/"})
	case len(os.Args) > 1 && os.Args[1] == "__sleep":
		time.Sleep(time.Hour)
	case len(os.Args) > 1 && os.Args[1] == "__eat":
		b := make([]byte, 64<<20)
		for i := range b {
			b[i] = 1
		}
		time.Sleep(time.Hour)
		_ = b
	default:
		os.Exit(m.Run())
	}
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}

// begin starts a first process in namespaces of its own.
func begin(t *testing.T, argv ...string) (l *Line, pid int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	sys := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET, Setsid: true}
	sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
	sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	pid, err = syscall.ForkExec(self, append([]string{self, "__first"}, argv...), &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{null.Fd(), 1, 2, uintptr(pair[1])}, Sys: sys,
	})
	_ = unix.Close(pair[1])
	if err != nil {
		t.Skipf("this machine allows no namespaces: %v", err)
	}
	t.Cleanup(func() {
		_ = unix.Kill(pid, unix.SIGKILL)
		_, _ = unix.Wait4(pid, nil, 0, nil)
	})
	l, err = NewLine(os.NewFile(uintptr(pair[0]), "line"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Ready(); err != nil {
		t.Fatal(err)
	}
	return l, pid
}

// locked opens a file and locks it.
func locked(t *testing.T, name string) (*os.File, error) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}

// program finds what the first process has started.
func program(t *testing.T, first int) int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if st, err := procfs.Stat(pid); err == nil && st[4-3] == strconv.Itoa(first) {
			return pid
		}
	}
	t.Fatal("no program runs")
	return 0
}

// TestFirst_letsGoWhenNothingWithinLives breaks the line of a first process that cannot
// go on, as one whose processor is another's: until it has ended the program it keeps
// what it was given.
func TestFirst_letsGoWhenNothingWithinLives(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "lock")
	lock, err := locked(t, name)
	if err != nil {
		t.Fatal(err)
	}
	l, first := begin(t, "__sleep")
	if err := errors.Join(l.Keep([]*os.File{lock}), l.Start(0)); err != nil {
		t.Fatal(err)
	}
	inner := program(t, first)
	start, err := procfs.StartTime(inner)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(first, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	lock.Close()
	l.Hang()
	if _, err := locked(t, name); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("the program lives, and the lock is free: %v", err)
	}
	if err := unix.Kill(first, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	<-l.Gone()
	if now, err := procfs.StartTime(inner); err == nil && now == start {
		t.Error("the first process is gone, and the program lives")
	}
	if _, err := locked(t, name); err != nil {
		t.Errorf("nothing lives, and the lock is held: %v", err)
	}
}

func TestFirst_endsAsTheProgramDoes(t *testing.T) {
	t.Parallel()
	l, first := begin(t, "__sleep")
	if err := errors.Join(l.Keep(nil), l.Start(0)); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(first, unix.SIGTERM); err != nil { // by somebody who does not know us
		t.Fatal(err)
	}
	if end := l.End(); end == nil || end.Signal != unix.SIGTERM {
		t.Errorf("%+v", end)
	}
	if err := l.Start(0); !errors.Is(err, ErrGone) {
		t.Errorf("after its end: %v", err)
	}
}

func TestFirst_watchesMemoryWhereNobodyElseDoes(t *testing.T) {
	t.Parallel()
	l, _ := begin(t, "__eat")
	if err := errors.Join(l.Keep(nil), l.Start(32<<20)); err != nil {
		t.Fatal(err)
	}
	if end := l.End(); end == nil || !end.OutOfMemory || end.Signal != unix.SIGKILL {
		t.Errorf("%+v", end)
	}
}

func TestLine_socketsOfTheNetworkWithin(t *testing.T) {
	t.Parallel()
	l, _ := begin(t, "__sleep")
	if err := l.Keep(nil); err != nil {
		t.Fatal(err)
	}
	ln, err := l.Listen(netip.MustParseAddrPort("127.16.0.7:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	port := netip.MustParseAddrPort(ln.Addr().String()).Port()
	found := false
	for _, at := range l.Listening() {
		found = found || at.Port() == port
	}
	if !found {
		t.Errorf("port %d is not told", port)
	}
	if _, err := l.Dial(t.Context(), 1); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("nobody listens there: %v", err)
	}
}

// TestLine_redirectsWhereTheProgramListensItself has a fellow at port 8080, and a program
// that listens there at all addresses.
func TestLine_redirectsWhereTheProgramListensItself(t *testing.T) {
	t.Parallel()
	l, _ := begin(t, "__sleep")
	if err := l.Keep(nil); err != nil {
		t.Fatal(err)
	}
	hear := func(at, name string) netip.AddrPort {
		ln, err := l.Listen(netip.MustParseAddrPort(at))
		if err != nil {
			t.Fatalf("%s cannot listen: %v", name, err)
		}
		t.Cleanup(func() { ln.Close() })
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				_, _ = c.Write([]byte(name))
				c.Close()
			}
		}()
		return netip.MustParseAddrPort(ln.Addr().String())
	}
	api, db := hear("127.16.0.9:0", "api"), hear("127.240.0.1:0", "db")
	err := l.Redirect(t.Context(), []shim.Redirect{
		{From: netip.MustParseAddrPort("127.16.0.9:8080"), Port: api.Port()},
		{From: netip.MustParseAddrPort("127.16.0.9:80"), Port: api.Port()},
		{From: netip.MustParseAddrPort("127.240.0.1:8080"), Port: db.Port()},
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) {
		t.Skip("this kernel has no nf_tables: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	hear("0.0.0.0:8080", "web")
	for at, want := range map[string]string{
		"127.16.0.9:8080": "api", "127.16.0.9:80": "api", "127.240.0.1:8080": "db",
		"127.0.0.1:8080": "web", "127.16.0.8:8080": "web",
	} {
		to := netip.MustParseAddrPort(at)
		c, err := l.dial(t.Context(), &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}, unix.AF_INET)
		if err != nil {
			t.Errorf("%s: %v", at, err)
			continue
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if got, err := io.ReadAll(c); string(got) != want {
			t.Errorf("at %s answers %q (%v), want %s", at, got, err, want)
		}
		c.Close()
	}
}

func TestEnter_refusesToEndTheMachine(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := Enter(w); err == nil {
		t.Error("a process that is not the first became one")
	}
}
