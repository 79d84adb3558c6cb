package keeper

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// SocketsVar is the variable that names the sockets a child inherits, in the
// order of its descriptors from 3 on.
const SocketsVar = "TITRATE_SOCKETS"

const firstSocket = 3

// Inherited are the listening sockets that a child got from its keeper.
type Inherited struct {
	names []string
	fds   []int
}

// Inherit takes the sockets that value, the content of [SocketsVar], names.
func Inherit(value string) *Inherited {
	in := &Inherited{}
	for i, name := range strings.Split(value, ",") {
		if name == "" {
			continue
		}
		unix.CloseOnExec(firstSocket + i) // a workload must not hold it
		in.names = append(in.names, name)
		in.fds = append(in.fds, firstSocket+i)
	}
	return in
}

// Listener returns the socket by that name. Closing it leaves the socket itself
// open in the keeper: connections wait in it for whoever listens next.
func (in *Inherited) Listener(name string) (net.Listener, error) {
	for i, n := range in.names {
		if n != name {
			continue
		}
		copied, err := unix.FcntlInt(uintptr(in.fds[i]), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("copy the socket of the %s: %w", name, err)
		}
		f := os.NewFile(uintptr(copied), name)
		defer f.Close()
		return net.FileListener(f)
	}
	return nil, fmt.Errorf("no socket %q was inherited; this process is started by titrate up", name)
}

// Handover gives the sockets to the next keeper when this child's own has died,
// over a unix socket in dir named after the child, and then calls leave: again for each
// that asks. Whoever
// does not show the token gets nothing: workloads are the same user. It returns
// when ctx ends.
func (in *Inherited) Handover(ctx context.Context, dir, child, token string, leave func()) error {
	path := handoverPath(dir, child)
	os.Remove(path) // left by the child before this one
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("listen for the next keeper: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(fmt.Errorf("protect the handover socket: %w", err), l.Close())
	}
	// The next child may have made its own at this path before this one ends.
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept the next keeper: %w", err)
		}
		err = in.send(conn.(*net.UnixConn), token)
		conn.Close()
		if err == nil {
			leave()
		}
	}
}

func (in *Inherited) send(c *net.UnixConn, token string) error {
	if err := c.SetDeadline(time.Now().Add(handoverTime)); err != nil {
		return fmt.Errorf("hand the sockets over: %w", err)
	}
	shown := make([]byte, len(token))
	if _, err := io.ReadFull(c, shown); err != nil || token == "" || subtle.ConstantTimeCompare(shown, []byte(token)) != 1 {
		return errors.New("somebody without the token asked for the sockets")
	}
	if _, _, err := c.WriteMsgUnix([]byte(strings.Join(in.names, ",")), unix.UnixRights(in.fds...), nil); err != nil {
		return fmt.Errorf("hand the sockets over: %w", err)
	}
	return nil
}

// takeOver asks the children of a dead keeper for its sockets, by name. The first
// that answers gives all of them; every one that is asked leaves.
func takeOver(cfg Config) map[string]int {
	all := map[string]int{}
	for _, child := range cfg.Children {
		for name, fd := range askFor(handoverPath(cfg.Dir, child), cfg.Token) {
			if _, had := all[name]; had {
				_ = unix.Close(fd)
				continue
			}
			all[name] = fd
		}
	}
	return all
}

// handoverTime bounds one handover.
const handoverTime = 2 * time.Second

func askFor(path, token string) map[string]int {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.Dial("unix", path)
	if err != nil {
		return nil // nobody there: the usual case
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(handoverTime))
	if _, err := io.WriteString(conn, token); err != nil {
		return nil
	}
	names, oob := make([]byte, 1024), make([]byte, 1024)
	n, on, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(names, oob)
	if err != nil {
		return nil
	}
	messages, err := unix.ParseSocketControlMessage(oob[:on])
	if err != nil || len(messages) == 0 {
		return nil
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return nil
	}
	files := map[string]int{}
	for i, name := range strings.Split(string(names[:n]), ",") {
		if i < len(fds) {
			unix.CloseOnExec(fds[i])
			files[name] = fds[i]
		}
	}
	return files
}

func handoverPath(dir, child string) string {
	return filepath.Join(dir, "."+child+".handover")
}
