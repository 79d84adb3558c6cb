package enginetest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// device is the way out, as the namespace sees it.
const device = "tap0"

// egress is a way out of a network namespace. A nil one is none.
type egress struct{}

// open gives the namespace of a process a way out, until the test ends.
func (e *egress) open(t *testing.T, pid int) {
	t.Helper()
	if e == nil {
		return
	}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the process has no network namespace of its own", func() bool {
		its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
		return err != nil || its != own // one that has ended is told of elsewhere
	})
	slirp := exec.CommandContext(t.Context(), "slirp4netns", "--configure", "--mtu=1500", "--disable-host-loopback", strconv.Itoa(pid), device)
	if err := slirp.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = slirp.Process.Kill()
		_ = slirp.Wait() // killed
	})
}

// await returns when the way out that this namespace is given is there.
func (e *egress) await(t *testing.T) {
	t.Helper()
	if e == nil {
		return
	}
	await(t, "slirp4netns gives no network", func() bool {
		d, err := net.InterfaceByName(device)
		if err != nil || d.Flags&net.FlagUp == 0 {
			return false
		}
		addresses, err := d.Addrs()
		return err == nil && len(addresses) > 0
	})
}

// await returns when done says so, or ends the test.
func await(t *testing.T, or string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatal(or)
		}
		<-time.After(20 * time.Millisecond)
	}
}
