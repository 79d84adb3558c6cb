// Package keeper is the process `titrate up`: it holds the listening sockets, is
// the subreaper of every workload, records how they exited, and keeps the server
// and the node running. It does nothing else, so that it has nothing to die of;
// when it dies all the same, server, node and workloads run on, and the next
// keeper takes the sockets over from them.
package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Config says what a keeper keeps.
type Config struct {
	Dir      string         // the data folder
	Program  string         // path of the titrate binary; a child is started from it anew each time, so that replacing the file upgrades
	Sockets  []Socket       // what to listen on, in the order in which children find them
	Given    map[string]int // descriptors by name that this process was given: listening sockets, which win over opening new ones, and what [Keeper.Become] adds
	Children []string       // names: each is started as `Program __NAME`
	Env      []string       // the children's environment
	Log      *slog.Logger
	Output   *os.File      // stdout and stderr of the children
	Token    string        // what the next keeper must show to be given the sockets
	Timeout  time.Duration // how long a child may take to end when asked; then it is killed
}

// Socket is one listening socket by name. Listen opens it; nil: TCP at Addr.
type Socket struct {
	Name, Addr string
	Listen     func(ctx context.Context, addr string) (net.Listener, error)
}

// Keeper runs the children. Make one with [New], then [Keeper.Run] it.
type Keeper struct {
	cfg  Config
	lock *os.File
	reap *reaper
	fds  []int // by Config.Sockets; bare, because os.File makes what it passes on blocking, for every process that shares the socket
}

// New takes the data folder's lock and the listening sockets: those of a keeper
// that died, from the children that outlived it, or new ones.
func New(cfg Config) (*Keeper, error) {
	exits := filepath.Join(cfg.Dir, "node", "exits")
	k := &Keeper{cfg: cfg, reap: newReaper(exits, cfg.Log)}
	if err := os.MkdirAll(exits, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for exit statuses: %w", err)
	}
	lock, err := cfg.lock()
	if err != nil {
		return nil, err
	}
	k.lock = lock
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become the reaper of workloads: %w", err)
	}
	if err := k.listen(); err != nil {
		return nil, errors.Join(err, releaseLock(lock))
	}
	return k, nil
}

// listen fills k.fds. A socket that was given wins, else one left by a dead
// keeper's child: connections may be waiting in it. Usually both are the same one.
func (k *Keeper) listen() error {
	left, given := takeOver(k.cfg), maps.Clone(k.cfg.Given)
	delete(given, lockName)
	for _, s := range k.cfg.Sockets {
		fd, ok := given[s.Name]
		if !ok {
			fd, ok = left[s.Name]
			delete(left, s.Name)
		}
		delete(given, s.Name)
		if !ok {
			var err error
			if fd, err = open(s); err != nil {
				return err
			}
		}
		k.fds = append(k.fds, fd)
	}
	for name, fd := range given {
		k.cfg.Log.Warn("a socket that was given is not used", slog.String("name", name))
		_ = unix.Close(fd)
	}
	for _, fd := range left {
		_ = unix.Close(fd)
	}
	return nil
}

// open listens and returns a descriptor of the socket that nothing closes.
func open(s Socket) (int, error) {
	listen := s.Listen
	if listen == nil {
		listen = func(ctx context.Context, addr string) (net.Listener, error) {
			var lc net.ListenConfig
			return lc.Listen(ctx, "tcp", addr)
		}
	}
	l, err := listen(context.Background(), s.Addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return 0, &PortTakenError{s}
	}
	if errors.Is(err, syscall.EACCES) {
		return 0, fmt.Errorf("error[T0721]: this user may not listen on %s\n  where   --%s\n  help    sysctl net.ipv4.ip_unprivileged_port_start=80 lets every user; a systemd unit with AmbientCapabilities=CAP_NET_BIND_SERVICE this one;\n          or take a port from 1024 on, to which another machine leads", s.Addr, s.Name)
	}
	if err != nil {
		return 0, fmt.Errorf("listen on %s for the %s: %w", s.Addr, s.Name, err)
	}
	defer l.Close()
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("keep the socket of the %s: %w", s.Name, err)
	}
	var kept int
	if cerr := raw.Control(func(fd uintptr) {
		kept, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	}); cerr != nil || err != nil {
		return 0, fmt.Errorf("keep the socket of the %s: %w", s.Name, errors.Join(cerr, err))
	}
	return kept, nil
}

// PortTakenError says that something else listens where a socket should be.
type PortTakenError struct{ Socket Socket }

// Error names the address and what to type.
func (e *PortTakenError) Error() string {
	return fmt.Sprintf("error[T0702]: %s is taken by another program\n  where   the %s's address\n  help    titrate up --%s 127.0.0.1:0 takes a free port, or name another one", e.Socket.Addr, e.Socket.Name, e.Socket.Name)
}

// Addr returns the address of the socket by that name, and "" where there is none.
func (k *Keeper) Addr(name string) string {
	for i, s := range k.cfg.Sockets {
		if s.Name == name {
			return address(k.fds[i])
		}
	}
	return ""
}

func address(fd int) string {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return ""
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)).String()
	}
	return ""
}

// Run keeps the children running until ctx ends, then ends them in reverse order
// and returns. Workloads are the node's: they live on unless stop, called first,
// ends them. When letGo is closed it returns and leaves everything running, for
// the next keeper to take over. The data folder is this keeper's until [Keeper.Close].
func (k *Keeper) Run(ctx context.Context, letGo <-chan struct{}, stop func(context.Context) error) error {
	go k.reap.run()
	var runs []*child
	for _, name := range k.cfg.Children {
		c := &child{keeper: k, name: name, quit: make(chan struct{}), done: make(chan struct{})}
		runs = append(runs, c)
		go c.keep()
	}
	select {
	case <-ctx.Done():
	case <-letGo:
		return nil
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.cfg.Timeout)
	defer cancel()
	err := stop(ending)
	for i := len(runs) - 1; i >= 0; i-- {
		close(runs[i].quit)
		<-runs[i].done
	}
	return err
}

// Close lets go of the data folder, once nothing more is written or removed there: from
// then on it may be another keeper's.
func (k *Keeper) Close() error { return releaseLock(k.lock) }
