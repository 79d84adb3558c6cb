package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	systemd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"titrate/client"
	"titrate/internal/keeper"
)

// What the keeper and its service manager tell each other: sd_listen_fds(3) and
// sd_notify(3). Without a manager, nothing is asked and nothing is told.

const notifyVar = "NOTIFY_SOCKET"

// socketVars name sockets that have been taken; the others are for this process
// alone. None is a child's business: a workload that speaks the same protocol must
// not take them for its own.
var (
	socketVars  = []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", keeper.GivenVar}
	managerVars = append([]string{notifyVar, "WATCHDOG_USEC", "WATCHDOG_PID"}, socketVars...)
)

func withoutManager(env []string) []string { return without(env, managerVars) }

func withoutSockets(env []string) []string { return without(env, socketVars) }

func without(env, names []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(names, name)
	})
}

// supervised reports whether a service manager watches this process.
func supervised(env []string) bool {
	return slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, notifyVar+"=") })
}

// givenSockets are the descriptors by name that this process was given: by the
// service manager, whose FileDescriptorName= they have, or by the keeper that became
// this process.
func givenSockets(given string) (map[string]int, error) {
	all := keeper.Given(given)
	manager := map[string]int{}
	for _, f := range activation.Files(true) {
		// A copy, and not by File.Fd, which would make the socket blocking for all who share it.
		raw, err := f.SyscallConn()
		if err == nil {
			var copied int
			cerr := raw.Control(func(fd uintptr) { copied, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
			if err = errors.Join(cerr, err); err == nil {
				manager[f.Name()] = copied
			}
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("take the socket %s from the service manager: %w", f.Name(), err)
		}
	}
	maps.Copy(all, manager)
	return all, nil
}

// tellManager says how this process is. Whether anybody listens does not matter.
func tellManager(state ...string) { _, _ = systemd.SdNotify(false, strings.Join(state, "\n")) }

// tellReloading must name the time on the monotonic clock, sd_notify(3).
func tellReloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err == nil {
		tellManager("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000), "STATUS=a new titrate takes over")
	}
}

// answersIn is how long the service manager waits at most for the server. Its
// sockets are open before, and traffic does not need it, so a server that cannot
// start is no reason to end the workloads.
const answersIn = 30 * time.Second

// tellReady tells the service manager when server and node answer, or that they do not.
func tellReady(ctx context.Context, r Running, dir string) error {
	if !r.Supervised {
		return nil
	}
	token, err := Token(dir)
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, answersIn)
	defer cancel()
	c := &client.Client{URL: r.API, Token: token}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		about, err := c.Server(asking)
		if err == nil && about.Node == "up" {
			tellManager("READY=1", fmt.Sprintf("STATUS=%s: server %s, gateway %s", r.Version, r.API, r.Gateway))
			return nil
		}
		select {
		case <-asking.Done():
			if ctx.Err() == nil {
				tellManager("READY=1", "STATUS=server or node does not answer; titrate server doctor says why")
			}
			return nil
		case <-tick.C:
		}
	}
}

// feedWatchdog tells the service manager twice in its interval that the keeper lives.
func feedWatchdog(ctx context.Context) error {
	interval, err := systemd.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return err
	}
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	for {
		tellManager("WATCHDOG=1")
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
