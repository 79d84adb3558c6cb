// Package porttest lends a test ports of its own.
package porttest

import (
	"net"
	"strconv"
	"syscall"
	"testing"
)

// Held returns a TCP port of 127.0.0.1 where nobody listens, and that is the test's
// until its end. A bound socket that does not listen keeps the kernel from giving
// the port to anybody else, and lets a program listen there that asks for it by
// number with SO_REUSEADDR, as Go's do (socket(7)).
func Held(t *testing.T) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return at.(*syscall.SockaddrInet4).Port
}

// Addr returns the address of such a port: 127.0.0.1:PORT.
func Addr(t *testing.T) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(Held(t)))
}
