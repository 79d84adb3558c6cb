package namespaces

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"titrate/internal/target/local/shim"
)

// Inside is the life of the first process within: it makes the root, starts the
// program when it is asked to, and ends with it, or when the outside is gone. It
// ends the process.
func Inside() {
	runtime.LockOSThread() // what confines is a thread's, and the program is started from this one
	// What ends it is the outside. A signal that it ignored its children would too.
	signal.Notify(make(chan os.Signal, 1), unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGPIPE)
	unix.CloseOnExec(specFD)
	unix.CloseOnExec(wireFD)
	w, err := newWire(os.NewFile(wireFD, "wire"))
	if err != nil {
		os.Exit(126) //nolint:forbidigo // the process is this function
	}
	in := inside{wire: w}
	if err := in.make(); err != nil {
		in.answer(-1, err)
		os.Exit(126) //nolint:forbidigo // as above
	}
	in.answer(-1, nil)
	in.serve()
	os.Exit(137) //nolint:forbidigo // the outside is gone: all within goes along, as the kernel has it
}

type inside struct {
	inner
	trees []int // from outside, see [mappedTrees]
	wire  wire
	pid   int // of the program; 0: not started
}

func (in *inside) make() error {
	spec := os.NewFile(specFD, "spec")
	defer spec.Close()
	if err := json.NewDecoder(spec).Decode(&in.inner); err != nil {
		return fmt.Errorf("read the launch: %w", err)
	}
	if err := in.become(); err != nil {
		return err
	}
	switch {
	case in.Clear != "":
		return clearAway(in.Clear)
	case len(in.Exec) > 0:
		return in.exec()
	}
	for range in.Trees {
		var r request
		fd, err := in.wire.receive(&r)
		if err != nil {
			return fmt.Errorf("take the folders: %w", err)
		}
		in.trees = append(in.trees, fd)
	}
	_ = unix.Sethostname([]byte(in.Name)) // a unit with ProtectHostname=yes may not: then it is the machine's
	if err := loopbackUp(); err != nil {
		return cannot("bring the loopback of a network up", err)
	}
	return in.makeRoot()
}

// become makes the process one of its users, which it has now.
func (in *inside) become() error {
	if in.Way == ownBlock || in.Way == sameNumbers { // else it is whom the program is to be
		if err := errors.Join(syscall.Setgroups([]int{}), syscall.Setresgid(0, 0, 0), syscall.Setresuid(0, 0, 0)); err != nil {
			return cannot("become root within", err)
		}
	}
	// Root within may be who this program's file belongs to: nobody within may look at
	// this process, and reach that file through /proc.
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}

// exec becomes this program, called in another way.
func (in *inside) exec() error {
	if err := unix.Chdir(in.WorkDir); err != nil {
		return fmt.Errorf("enter %s: %w", in.WorkDir, err)
	}
	signal.Reset()
	return syscall.Exec("/proc/self/exe", in.Exec, in.Env)
}

// loopbackUp makes 127.0.0.0/8 and ::1 answer.
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
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}

func (in *inside) answer(fd int, err error) {
	r := reply{}
	if err != nil {
		r.Error = err.Error()
		r.Errno, _ = errors.AsType[unix.Errno](err)
	}
	_ = in.wire.send(r, fd) // when the outside is gone serve ends
	if fd >= 0 {
		_ = unix.Close(fd)
	}
}

// serve answers requests until the outside is gone.
func (in *inside) serve() {
	for {
		var r request
		if _, err := in.wire.receive(&r); err != nil {
			return
		}
		fd, err := -1, error(nil) //nolint:wastedassign // most requests have no descriptor to give
		switch {
		case r.Start:
			err = in.start()
		case r.Signal != 0:
			err = unix.Kill(in.pid, r.Signal) // the program, which is not reaped while we live
		case r.Listen.IsValid():
			fd, err = listen(r.Listen)
		default:
			fd, err = unix.Socket(r.Socket, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		}
		in.answer(fd, err)
		if r.Start && err == nil {
			go in.reap(in.pid) // only now: the program may have ended already, and we end with it
		}
	}
}

func listen(at netip.AddrPort) (int, error) {
	family, sa := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().Unmap().As4()})
	if at.Addr().Is6() {
		family, sa = unix.AF_INET6, &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err = unix.Bind(fd, sa); err == nil {
		err = unix.Listen(fd, unix.SOMAXCONN)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// start starts the program.
func (in *inside) start() error {
	dir := filepath.Join("/", in.WorkDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the working directory of the image: %w", err)
	}
	program, err := lookProgram(dir, in.Argv, in.Env)
	if err != nil {
		return err
	}
	sys := &syscall.SysProcAttr{}
	if in.Way != alone {
		sys.Credential = &syscall.Credential{Uid: in.Who.UID, Gid: in.Who.GID, Groups: in.Who.Groups}
	}
	if err := confine(); err != nil {
		return err
	}
	env := in.Env
	if !slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, "HOME=") }) {
		env = append(env, "HOME="+cmp.Or(in.Who.Home, "/"))
	}
	in.pid, err = syscall.ForkExec(program, in.Argv, &syscall.ProcAttr{Dir: dir, Env: env, Files: []uintptr{0, 1, 2}, Sys: sys})
	if err != nil {
		return fmt.Errorf("execute %s: %w%s", program, err, execHint(program, err))
	}
	return nil
}

// execHint says what is wrong with a program that is there and cannot be executed.
func execHint(program string, err error) string {
	switch {
	case errors.Is(err, unix.ENOEXEC):
		return ": it is for another machine, or a script without #!"
	case errors.Is(err, unix.ENOENT):
		if _, serr := os.Stat(program); serr == nil {
			return ": the image has no interpreter for it; a program for glibc does not run on Alpine, nor one that is linked dynamically FROM scratch"
		}
	case errors.Is(err, unix.EACCES):
		return ": the image's user may not; chmod +x it"
	}
	return ""
}

// reap waits for all that ends within, and ends when the program does.
func (in *inside) reap(program int) {
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, 0, nil)
		if err != nil || pid != program || !ws.Exited() && !ws.Signaled() {
			continue
		}
		exit := shim.Exit{Code: ws.ExitStatus()}
		if ws.Signaled() {
			exit = shim.Exit{Signal: ws.Signal()}
		}
		if n := others(); n > 0 && exit.Signal == 0 {
			exit.Note = fmt.Sprintf("the image's command has ended and left %d of its processes behind, which end now: a command stays in the foreground, see titrate explain T0561", n)
		}
		_ = in.wire.send(reply{Exit: &exit}, -1) // the exit status tells it too
		os.Exit(exit.Code)                       //nolint:forbidigo // the first process ends with the program
	}
}

// others counts the processes that are left within beside this one.
func others() int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	n := 0
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid != os.Getpid() {
			n++
		}
	}
	return n
}

// lookProgram finds argv[0] as a shell in the image would.
func lookProgram(dir string, argv, env []string) (string, error) {
	if len(argv) == 0 || argv[0] == "" {
		return "", errors.New("neither the image nor the manifest says what to run: run: [PROGRAM, …]")
	}
	name := argv[0]
	if strings.ContainsRune(name, '/') {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		if _, err := os.Stat(name); err != nil {
			return "", fmt.Errorf("the image has no file %s", name)
		}
		return name, nil
	}
	for _, kv := range env {
		path, ok := strings.CutPrefix(kv, "PATH=")
		if !ok {
			continue
		}
		for _, at := range filepath.SplitList(path) {
			if file, err := exec.LookPath(filepath.Join("/", at, name)); err == nil {
				return file, nil
			}
		}
	}
	return "", fmt.Errorf("the image has no program %s in its $PATH", name)
}
