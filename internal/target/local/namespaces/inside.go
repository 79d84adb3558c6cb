package namespaces

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"titrate/internal/target/local/within"
)

// Inside is the life of the first process within: it makes the root, and runs the
// program. It ends the process.
func Inside() {
	runtime.LockOSThread() // what confines is a thread's, and the program is started from this one
	unix.CloseOnExec(specFD)
	unix.CloseOnExec(wireFD)
	first, err := within.Enter(os.NewFile(wireFD, "wire"))
	if err != nil {
		os.Exit(126) //nolint:forbidigo // the process is this function
	}
	var in inside
	if err := in.make(); err != nil {
		first.Fail(err)
	}
	p := within.Program{Argv: in.Argv, Env: in.Env, Dir: in.WorkDir, Home: in.Who.Home, Confine: confine}
	if !in.Who.Alone {
		p.As = &syscall.Credential{Uid: in.Who.UID, Gid: in.Who.GID, Groups: in.Who.Groups}
	}
	first.Run(p)
}

type inside struct{ inner }

func (in *inside) make() error {
	spec := os.NewFile(specFD, "spec")
	defer spec.Close()
	if err := json.NewDecoder(spec).Decode(&in.inner); err != nil {
		return fmt.Errorf("read the launch: %w", err)
	}
	_ = unix.Sethostname([]byte(in.Name)) // a unit with ProtectHostname=yes may not: then it is the machine's
	if err := loopbackUp(); err != nil {
		return cannot("bring the loopback of a network up", err)
	}
	return in.makeRoot()
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
