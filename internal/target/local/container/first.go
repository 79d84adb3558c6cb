package container

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/target/local/within"
)

// What is mounted into a container, and where.
const (
	programAt  = "/run/titrate/program"  // this program
	socketAt   = "/run/titrate/socket"   // where its shim listens
	redirectAt = "/run/titrate/redirect" // is not there, so no image's command: see [network]
	socketName = "socket"                // in the container's folder outside
)

// First is the life of a container's first process, which runs argv. It ends the process.
func First(argv []string) {
	if len(argv) == 2 && argv[0] == redirectAt {
		os.Exit(lead(argv[1])) //nolint:forbidigo // as below
	}
	first, err := enter()
	if err != nil {
		fmt.Fprintln(os.Stderr, "titrate:", err)
		os.Exit(126) //nolint:forbidigo // the process is this function
	}
	dir, err := os.Getwd()
	if err != nil {
		first.Fail(fmt.Errorf("enter the working directory of the image: %w", err))
	}
	first.Run(within.Program{Argv: argv, Env: os.Environ(), Dir: dir})
}

func enter() (*within.First, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("call the shim: %w", err)
	}
	f := os.NewFile(uintptr(fd), "shim")
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: socketAt}); err != nil {
		f.Close()
		return nil, fmt.Errorf("this container is Titrate's, and its shim is gone: %w", err)
	}
	return within.Enter(f)
}

// listen listens for a first process at a socket in dir, which whoever it runs as may
// reach: it is mounted into one container.
func listen(dir string) (*net.UnixListener, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("listen for the container: %w", err)
	}
	defer d.Close()
	name := filepath.Join(dir, socketName)
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen for the container: %w", err)
	}
	// By way of the descriptor, because the name of a socket is at most 107 bytes long.
	ln, err := net.ListenUnix("unixpacket", &net.UnixAddr{Net: "unixpacket", Name: fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), socketName)})
	if err != nil {
		return nil, fmt.Errorf("listen for the container: %w", err)
	}
	ln.SetUnlinkOnClose(false) // the descriptor is gone then
	if err := os.Chmod(name, 0o666); err != nil {
		return nil, fmt.Errorf("listen for the container: %w", errors.Join(err, ln.Close()))
	}
	return ln, nil
}

const (
	// acceptLook is how long a first process may be silent before the engine is asked
	// how it is.
	acceptLook = 2 * time.Second
	// acceptMost is how long it may be silent at all.
	acceptMost = time.Minute
)

// accept waits for the first process to call.
func (c *Container) accept(ctx context.Context, ln *net.UnixListener) (*within.Line, error) {
	for began := time.Now(); ; {
		_ = ln.SetDeadline(time.Now().Add(acceptLook)) // of a socket that is open
		conn, err := ln.AcceptUnix()
		if err == nil {
			defer conn.Close() //nolint:errcheck // what is left is the copy
			f, err := conn.File()
			if err != nil {
				return nil, fmt.Errorf("talk to the container: %w", err)
			}
			return within.NewLine(f)
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, fmt.Errorf("listen for the container: %w", err)
		}
		st, err := c.engine.Status(ctx, c.id)
		if err == nil && !st.Running {
			return nil, fmt.Errorf("the container ended with status %d before its program was started%s%s", st.Exit, colon(st.Error), unfit(c.spec.Init[0]))
		}
		if time.Since(began) > acceptMost {
			return nil, fmt.Errorf("the container runs, and its first process does not call in %s", acceptMost)
		}
	}
}

func colon(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

// unfit says what keeps the file of this program from being the first process of any
// container; empty: nothing that is known.
func unfit(program string) string {
	if st, err := os.Stat(program); err == nil && st.Mode().Perm()&0o005 != 0o005 {
		return fmt.Sprintf("; containers begin with %s, which not everybody may execute: chmod 755 %s", program, program)
	}
	f, err := elf.Open(program)
	if err != nil {
		return ""
	}
	defer f.Close() //nolint:errcheck // only read
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return fmt.Sprintf("; containers begin with %s, which needs a C library: build it with CGO_ENABLED=0", program)
	}
	return ""
}
