// Package shim is the process that stands for a program that runs elsewhere: in
// namespaces of its own, or in a container engine. The supervisor knows processes
// only; a shim is one, and behaves as the program would if it were run here.
//
// What it promises:
//   - Asked to end (SIGTERM) it asks the program, by the signal that its image names.
//   - It ends when the program has, and as the program did.
//   - It listens on this machine while the program accepts connections at its port,
//     and not before or after, so that "accepts connections" keeps its meaning.
//   - Addresses of this machine that the program is to reach are reached by it at
//     the same addresses within, and at those that its names for them have.
//
// What makes and ends the program is a [Container].
package shim

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// Container is a program with what is around it. A shim calls Start once, and Wait
// once after that.
type Container interface {
	// Start starts the program, whose outputs are this process's own, and calls
	// prepare with its network: before the program runs, where that can be. When it
	// returns an error nothing runs.
	Start(ctx context.Context, prepare func(Network) error) error
	// Signal sends a signal to the program. It is safe to call at any time and from
	// anywhere; of a program that has ended there is nothing to tell.
	Signal(unix.Signal)
	// Wait returns how the program ended, when nothing of it is left.
	Wait() Exit
}

// Network is the network that the program is in. Its methods are safe for many
// goroutines.
type Network interface {
	// Dial connects to a port at which the program listens, on whatever address. The
	// error wraps [unix.ECONNREFUSED] when nobody listens there.
	Dial(ctx context.Context, port int) (net.Conn, error)
	// Listen listens at an address of the loopback within.
	Listen(at netip.AddrPort) (net.Listener, error)
	// Redirect leads connections that the program makes elsewhere, once and for all:
	// also where the program itself listens, which it has not begun when it is called.
	Redirect(ctx context.Context, all []Redirect) error
	// Listening tells where the program listens. It is asked for a sentence to people:
	// what cannot be seen is left out.
	Listening() []netip.AddrPort
}

// Redirect is a change of where connections lead, in the network of a program.
type Redirect struct {
	From netip.AddrPort `json:"from"` // an address of the loopback within
	Port uint16         `json:"port"` // of the same address, where they come to
}

// Exit is how a program ended.
type Exit struct {
	Code   int         `json:"code"`
	Signal unix.Signal `json:"signal,omitempty"` // 0: it exited with Code
	// Note says in a line what else there is to know, for the program's log.
	Note string `json:"note,omitempty"`
}

// Frame says how the shim stands in for the program.
type Frame struct {
	Host  int              `json:"host,omitempty"`  // the port on 127.0.0.1 of this machine; 0: nobody calls the program
	Port  int              `json:"port,omitempty"`  // the port within at which the program is to listen
	Reach []netip.AddrPort `json:"reach,omitempty"` // addresses of this machine that it reaches at the same within
	Named []Named          `json:"named,omitempty"` // what it reaches by name
	// Listens is a file that tells where the program listens while it does not at
	// Port: the text of [Listening].
	Listens string      `json:"listens,omitempty"`
	Stop    unix.Signal `json:"stop,omitempty"` // what asks the program to end; 0: SIGTERM
}

// Named is something that a program reaches by a name. That the name has the address
// within is the container's to see to.
type Named struct {
	Name  string     `json:"name"`
	At    netip.Addr `json:"at"`    // of the loopback within
	Ports []uint16   `json:"ports"` // within, each of which leads to To
	// Taken are further ports that lead to To, at which the program itself may listen.
	Taken []uint16       `json:"taken,omitempty"`
	To    netip.AddrPort `json:"to"` // on this machine
}

// Run runs the program of c until it has ended, and returns how. It calls started
// once: with nil when the program runs, or why it does not.
func Run(c Container, f Frame, started func(error)) Exit {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	asked := make(chan os.Signal, 8)
	signal.Notify(asked, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	var network Network
	var ours []netip.AddrPort
	err := c.Start(ctx, func(n Network) (err error) {
		network = n
		ours, err = f.reach(ctx, n)
		return err
	})
	started(err)
	if err != nil {
		return Exit{Code: 126}
	}
	go func() {
		for range asked {
			c.Signal(f.stop())
		}
	}()
	if f.Host != 0 {
		go func() {
			if err := f.serve(ctx, network, ours); err != nil && ctx.Err() == nil {
				fmt.Fprintf(os.Stderr, "titrate: %v\n", err)
				c.Signal(unix.SIGKILL)
			}
		}()
	}
	return c.Wait()
}

func (f Frame) stop() unix.Signal {
	if f.Stop == 0 {
		return unix.SIGTERM
	}
	return f.Stop
}

// Leave ends this process as the program ended: of the same signal, where a process
// can, or else with the status that a shell would tell.
func Leave(e Exit) {
	if e.Note != "" {
		fmt.Fprintln(os.Stderr, "titrate: "+e.Note)
	}
	switch e.Signal {
	case 0:
		os.Exit(e.Code) //nolint:forbidigo // a shim is a process of its own and ends like one
	case unix.SIGTERM, unix.SIGKILL, unix.SIGINT, unix.SIGHUP, unix.SIGALRM, unix.SIGUSR1, unix.SIGUSR2:
		signal.Reset(e.Signal)
		_ = unix.Kill(os.Getpid(), e.Signal)
		select {}
	default: // Go keeps these to itself
		os.Exit(128 + int(e.Signal)) //nolint:forbidigo // as above
	}
}
