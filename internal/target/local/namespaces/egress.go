package namespaces

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// nameServer is where slirp4netns answers for the machine's name servers.
const nameServer = "10.0.2.3"

// egress is the way of a program out to the world: slirp4netns takes its packets from
// a device in its network and makes connections of its own of them, as any program of
// this machine may. The machine's loopback is not reached that way.
type egress struct {
	cmd   *exec.Cmd
	ready *os.File // tells that the device is up
	hold  *os.File // it ends when this is closed
	said  bytes.Buffer
}

// egressPatience is how long the way out may take to be there.
const egressPatience = 5 * time.Second

// openEgress starts the way out of the network of process pid.
func openEgress(program string, pid int) (*egress, error) {
	e := &egress{}
	ready, readyW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer readyW.Close()
	e.ready = ready
	holdR, hold, err := os.Pipe()
	if err != nil {
		ready.Close()
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer holdR.Close()
	e.hold = hold
	e.cmd = exec.Command(program, "--configure", "--mtu=65520", "--disable-host-loopback", "--enable-sandbox", "--enable-seccomp", //nolint:noctx // it ends with hold
		"--ready-fd=3", "--exit-fd=4", strconv.Itoa(pid), "tap0")
	e.cmd.Env, e.cmd.Stderr, e.cmd.ExtraFiles = []string{}, &e.said, []*os.File{readyW, holdR}
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := e.cmd.Start(); err != nil {
		ready.Close()
		hold.Close()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	return e, nil
}

// await returns when packets find their way out, or why they do not.
func (e *egress) await() error {
	_ = e.ready.SetReadDeadline(time.Now().Add(egressPatience))
	n, err := e.ready.Read(make([]byte, 1))
	e.ready.Close()
	if n == 1 {
		return nil
	}
	e.close()
	return fmt.Errorf("%s ended: %w: %.500s", e.cmd.Path, err, bytes.TrimSpace(e.said.Bytes()))
}

// close ends it.
func (e *egress) close() {
	e.hold.Close()
	_ = e.cmd.Process.Kill() // it may have ended by itself
	_ = e.cmd.Wait()         // killed
}
