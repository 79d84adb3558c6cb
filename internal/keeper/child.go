package keeper

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"time"
)

// Back-off between restarts of a child that dies young. The first restart is at
// once: a node that was killed must be back in 300 ms.
const (
	young    = time.Second
	maxDelay = 5 * time.Second
)

// child keeps one process running until quit is closed.
type child struct {
	keeper *Keeper
	name   string
	quit   chan struct{}
	done   chan struct{}
}

func (c *child) keep() {
	defer close(c.done)
	log := c.keeper.cfg.Log.With(slog.String("child", c.name))
	var delay time.Duration
	for {
		began := time.Now()
		pid, exited, err := c.start()
		if err != nil {
			log.Error("start", slog.Any("error", err))
		} else {
			log.Info("started", slog.Int("pid", pid))
			select {
			case status := <-exited:
				log.Warn("exited", slog.Int("pid", pid), slog.String("status", describe(status)))
			case <-c.quit:
				c.end(pid, exited)
				log.Info("ended", slog.Int("pid", pid))
				return
			}
		}
		if time.Since(began) > young {
			delay = 0
		}
		select {
		case <-time.After(delay):
		case <-c.quit:
			return
		}
		delay = min(maxDelay, 2*delay+100*time.Millisecond)
	}
}

// start spawns the process with the sockets as descriptors 3, 4, … named in
// TITRATE_SOCKETS.
func (c *child) start() (int, <-chan syscall.WaitStatus, error) {
	return c.keeper.spawn([]string{"__" + c.name, "--data", c.keeper.cfg.Dir}, c.keeper.cfg.Sockets)
}

// spawn starts the program with args and the first of the sockets.
func (k *Keeper) spawn(args []string, sockets []Socket) (int, <-chan syscall.WaitStatus, error) {
	var names []string
	for _, s := range sockets {
		names = append(names, s.Name)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, nil, fmt.Errorf("open the null device: %w", err)
	}
	defer null.Close()
	attr := &syscall.ProcAttr{
		Dir:   k.cfg.Dir,
		Env:   append(k.cfg.Env[:len(k.cfg.Env):len(k.cfg.Env)], SocketsVar+"="+strings.Join(names, ",")),
		Files: []uintptr{null.Fd(), k.cfg.Output.Fd(), k.cfg.Output.Fd()},
		// A group of its own: Ctrl-C at the terminal is the keeper's to handle.
		Sys: &syscall.SysProcAttr{Setpgid: true},
	}
	for i := range sockets {
		attr.Files = append(attr.Files, uintptr(k.fds[i]))
	}
	return k.reap.spawn(k.cfg.Program, append([]string{k.cfg.Program}, args...), attr)
}

// end asks the process to end and, after the timeout, kills it.
func (c *child) end(pid int, exited <-chan syscall.WaitStatus) {
	// The reaper reaps only what has been waited for here, so pid is still ours.
	_ = syscall.Kill(pid, syscall.SIGTERM)
	select {
	case <-exited:
		return
	case <-time.After(c.keeper.cfg.Timeout):
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	<-exited
}

func describe(s syscall.WaitStatus) string {
	if s.Signaled() {
		return s.Signal().String()
	}
	return fmt.Sprintf("exit %d", s.ExitStatus())
}
