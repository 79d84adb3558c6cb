package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// GivenVar is the variable that names what a keeper gave to the program that it
// became: NAME=DESCRIPTOR, with commas between.
const GivenVar = "TITRATE_GIVEN"

// lockName is the data folder's lock in [Config.Given].
const lockName = "lock"

// Become runs the program that is now at Config.Program in this process: it is the
// next keeper, with the sockets, the lock and the children of this one. Whoever
// supervises this process sees no change. It returns only when that failed, and then
// this keeper goes on.
func (k *Keeper) Become(argv, env []string) error {
	// Not while a child is being started: it would have the lock open.
	k.reap.mu.Lock()
	defer k.reap.mu.Unlock()
	given := []string{lockName + "=" + strconv.Itoa(int(k.lock.Fd()))}
	fds := append([]int{int(k.lock.Fd())}, k.fds...)
	for i, s := range k.cfg.Sockets {
		given = append(given, s.Name+"="+strconv.Itoa(k.fds[i]))
	}
	var err error
	for _, fd := range fds {
		_, ferr := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
		err = errors.Join(err, ferr)
	}
	if err == nil {
		err = syscall.Exec(k.cfg.Program, argv, append(env[:len(env):len(env)], GivenVar+"="+strings.Join(given, ",")))
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
	return fmt.Errorf("become the program at %s: %w", k.cfg.Program, err)
}

// Given reads what value, the content of [GivenVar], names.
func Given(value string) map[string]int {
	given := map[string]int{}
	for part := range strings.SplitSeq(value, ",") {
		name, number, _ := strings.Cut(part, "=")
		if fd, err := strconv.Atoi(number); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
			given[name] = fd
		}
	}
	return given
}

// lock is the data folder's lock, which a keeper that became this one never let go
// of.
func (c Config) lock() (*os.File, error) {
	if fd, ok := c.Given[lockName]; ok {
		return os.NewFile(uintptr(fd), lockPath(c.Dir)), nil
	}
	return takeLock(c.Dir)
}

// Ask runs the program with args beside the children, and returns an error unless
// it exits with 0 before ctx ends.
func (k *Keeper) Ask(ctx context.Context, args ...string) error {
	pid, exited, err := k.spawn(args, nil)
	if err != nil {
		return err
	}
	var status syscall.WaitStatus
	select {
	case status = <-exited:
	case <-ctx.Done():
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		<-exited
		return fmt.Errorf("%s %s: %w", k.cfg.Program, strings.Join(args, " "), ctx.Err())
	}
	if status.ExitStatus() != 0 {
		return fmt.Errorf("%s %s: %s", k.cfg.Program, strings.Join(args, " "), describe(status))
	}
	return nil
}
