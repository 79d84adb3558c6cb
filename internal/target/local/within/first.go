package within

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/cgroup"
	"titrate/internal/procfs"
	"titrate/internal/target/local/shim"
)

// What a first process uses of its own where it is counted with the program: who sets
// limits adds this much.
const (
	Memory    = 16 << 20
	Processes = 32 // threads
)

// First is the first process within.
type First struct {
	wire    wire
	program Program
	files   []uintptr // what the program gets: three standard ones, and what it keeps
	asked   chan os.Signal

	mu  sync.Mutex
	pid int // of the program; 0: it does not run
	end sync.Mutex
}

// Enter makes this process the first within, whose line to outside f is. It is called
// before anything that takes time.
func Enter(f *os.File) (*First, error) {
	if os.Getpid() != 1 { // all that it sees ends with it: of a machine, everything
		f.Close()
		return nil, errors.New("it has no process namespace of its own: set pidns to private in containers.conf")
	}
	// Whoever the program runs as: it may not look at this process, and reach its
	// files through /proc.
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	w, err := newWire(f)
	if err != nil {
		return nil, err
	}
	first := &First{wire: w, files: []uintptr{0, 1, 2}, asked: make(chan os.Signal, 16)}
	// From outside, by somebody who does not know us: meant for the program. A signal
	// that this process ignored the program would too.
	signal.Notify(first.asked, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH, unix.SIGCONT)
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	return first, nil
}

// Fail tells outside why there will be no program, and ends the process.
func (f *First) Fail(err error) {
	f.answer(reply{}, err)
	os.Exit(126) //nolint:forbidigo // the process is this
}

// Run runs p when it is told to, and ends the process.
func (f *First) Run(p Program) {
	f.program = p
	f.answer(reply{}, nil)
	for {
		var r request
		fds, err := f.wire.receive(&r)
		if err != nil {
			break
		}
		f.serve(r, fds)
	}
	f.finish(End{Exit: shim.Exit{Code: 128 + int(unix.SIGKILL)}}) // the outside is gone
}

func (f *First) answer(r reply, err error, fds ...int) {
	if err != nil {
		r.Error = err.Error()
		r.Errno, _ = errors.AsType[unix.Errno](err)
	}
	_ = f.wire.send(r, fds...) // when the outside is gone Run ends
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// serve answers a request.
func (f *First) serve(r request, fds []int) {
	switch {
	case r.Keep:
		f.answer(reply{}, f.keep(fds))
	case r.Start:
		err := f.start()
		f.answer(reply{}, err)
		if err == nil {
			if r.Memory > 0 {
				go f.watch(r.Memory)
			}
			go f.reap() // only now: the program may have ended already, and we end with it
			go func() {
				for sig := range f.asked {
					_ = f.signal(sig.(unix.Signal)) // it has ended
				}
			}()
		}
	case r.List:
		f.answer(reply{Listen: listening()}, nil)
	case r.Signal != 0:
		f.answer(reply{}, f.signal(r.Signal))
	case len(r.Lead) > 0:
		f.answer(reply{}, Redirect(r.Lead))
	default:
		fd, err := socket(r)
		if err != nil {
			f.answer(reply{}, err)
			return
		}
		f.answer(reply{}, nil, fd)
	}
}

// keep takes over what comes from outside.
func (f *First) keep(fds []int) error {
	const standard = 3
	if len(fds) < standard {
		return fmt.Errorf("%d standard files came from outside", len(fds))
	}
	for i, fd := range fds[:standard] {
		if err := unix.Dup3(fd, i, 0); err != nil {
			return fmt.Errorf("take a standard file over: %w", err)
		}
		_ = unix.Close(fd)
	}
	for _, fd := range fds[standard:] {
		f.files = append(f.files, uintptr(fd)) // and keep it as well: a program may close it
	}
	return nil
}

func socket(r request) (int, error) {
	if r.Listen.IsValid() {
		return listen(r.Listen)
	}
	return unix.Socket(r.Socket, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
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
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) // as Go's own listeners
	if err = unix.Bind(fd, sa); err == nil {
		err = unix.Listen(fd, unix.SOMAXCONN)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

const mostListen = 512 // that are told: a packet holds them

// resolver is where Docker itself listens in a container, for names.
var resolver = netip.AddrFrom4([4]byte{127, 0, 0, 11})

func listening() []netip.AddrPort {
	var out []netip.AddrPort
	for _, name := range []string{"tcp", "tcp6"} {
		for _, at := range procfs.Listening("/proc/self/net/" + name) {
			if at.Addr() != resolver && len(out) < mostListen {
				out = append(out, at)
			}
		}
	}
	return out
}

func (f *First) start() error {
	pid, err := f.program.start(f.files)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pid = pid
	return err
}

func (f *First) signal(sig unix.Signal) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pid == 0 {
		return unix.ESRCH
	}
	return unix.Kill(f.pid, sig) // it is not reaped before pid is 0
}

// reap waits for all that ends within, and ends when the program does.
func (f *First) reap() {
	for {
		if err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
			continue // interrupted: the program is our child until it is reaped here
		}
		if ws, ended := f.reaped(); ended {
			f.finish(endOf(ws))
		}
	}
}

// reaped waits for one that has ended, and reports whether it is the program. Meanwhile
// nobody is sent a signal: its number may be another's from now on.
func (f *First) reaped() (ws unix.WaitStatus, program bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	pid, err := unix.Wait4(-1, &ws, unix.WNOHANG, nil)
	if err != nil || pid <= 0 || pid != f.pid {
		return ws, false
	}
	f.pid = 0
	return ws, true
}

func endOf(ws unix.WaitStatus) End {
	end := End{Exit: shim.Exit{Code: ws.ExitStatus()}, OutOfMemory: cgroup.Within().Killed > 0}
	if ws.Signaled() {
		end.Exit = shim.Exit{Signal: ws.Signal()}
	}
	if n := len(others()); n > 0 && end.Signal == 0 {
		end.Note = fmt.Sprintf("the image's command has ended and left %d of its processes behind, which end now: a command stays in the foreground, see titrate explain T0561", n)
	}
	return end
}

// watch ends what is within when it has more than limit bytes in memory.
func (f *First) watch(limit int64) {
	for range time.Tick(time.Second) {
		if resident() > limit {
			f.finish(End{Exit: shim.Exit{Signal: unix.SIGKILL}, OutOfMemory: true})
		}
	}
}

// resident is how much all but this process have in memory.
func resident() int64 {
	var pages int64
	for _, pid := range others() {
		if st, err := procfs.Stat(pid); err == nil { // else it has ended
			n, _ := strconv.ParseInt(st[24-3], 10, 64)
			pages += n
		}
	}
	return pages * int64(os.Getpagesize())
}

// finish ends all else within, tells how the program ended, and ends the process.
func (f *First) finish(end End) {
	f.end.Lock() // and never lets go
	for unix.Kill(-1, unix.SIGKILL) == nil {
		for {
			if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != nil || pid <= 0 {
				break
			}
		}
		<-time.After(time.Millisecond)
	}
	_ = f.wire.send(reply{End: &end}) // the exit status tells it too
	code := end.Code
	if end.Signal != 0 {
		code = 128 + int(end.Signal)
	}
	os.Exit(code) //nolint:forbidigo // the first process ends with the program
}

// others lists the processes that are within beside this one.
func others() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var out []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid != os.Getpid() {
			out = append(out, pid)
		}
	}
	return out
}
