package namespaces

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"titrate/internal/target/local/shim"
	"titrate/internal/target/local/within"
)

// Inside is the life of the first process within: it makes the root, and runs the
// program. It ends the process.
func Inside() {
	runtime.LockOSThread() // what confines is a thread's, and the program is started from this one
	unix.CloseOnExec(specFD)
	unix.CloseOnExec(wireFD)
	var in inside
	err := in.read()
	if err == nil && (in.Clear != "" || in.Try || len(in.Exec) > 0) {
		in.serve()
	}
	first, ferr := within.Enter(os.NewFile(wireFD, "wire"))
	if ferr != nil {
		os.Exit(126) //nolint:forbidigo // the process is this function
	}
	if err == nil {
		err = in.make()
	}
	if err != nil {
		first.Fail(err)
	}
	p := within.Program{Argv: in.Argv, Env: in.Env, Dir: in.WorkDir, Home: in.Who.Home, Confine: confine}
	if in.Way != alone {
		p.As = &syscall.Credential{Uid: in.Who.UID, Gid: in.Who.GID, Groups: in.Who.Groups}
	}
	first.Run(p)
}

type inside struct {
	inner
	trees []int // from outside, see [mappedTrees]
}

// read waits for what the process is for. It has its users by then.
func (in *inside) read() error {
	spec := os.NewFile(specFD, "spec")
	defer spec.Close()
	if err := json.NewDecoder(spec).Decode(&in.inner); err != nil {
		return fmt.Errorf("read the launch: %w", err)
	}
	if err := in.become(); err != nil {
		return err
	}
	for range in.Trees {
		fd, err := takeTree()
		if err != nil {
			return fmt.Errorf("take the folders: %w", err)
		}
		in.trees = append(in.trees, fd)
	}
	return nil
}

// serve does the one thing that needs these users and nothing else, says what came of
// it, and ends the process.
func (in *inside) serve() {
	var err error
	switch {
	case in.Clear != "":
		err = clearAway(in.Clear)
	case in.Try:
		err = within.Redirect([]shim.Redirect{{From: netip.MustParseAddrPort("127.0.0.2:2"), Port: 1}})
	default:
		err = in.exec()
	}
	if err != nil {
		_, _ = unix.Write(wireFD, []byte(err.Error())) // the exit status says it too
		os.Exit(1)                                     //nolint:forbidigo // the process is this function
	}
	os.Exit(0) //nolint:forbidigo // as above
}

func (in *inside) make() error {
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
