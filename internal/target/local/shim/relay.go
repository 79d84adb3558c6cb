package shim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// dialTimeout is how long a program may take to accept a connection.
const dialTimeout = 10 * time.Second

// serve carries connections from this machine to the program, until ctx ends. It
// listens only while the program does.
func (f Frame) serve(ctx context.Context, n Network) error {
	at := fmt.Sprintf("127.0.0.1:%d", f.Host)
	for f.awaitProgram(ctx, n) {
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at)
		if err != nil {
			return fmt.Errorf("listen on %s: %w", at, err)
		}
		forward(ln, func() (net.Conn, error) {
			conn, err := n.Dial(ctx, f.Port)
			if errors.Is(err, unix.ECONNREFUSED) {
				ln.Close() // it listens no more, and so do we
			}
			return conn, err
		})
		ln.Close()
	}
	return nil
}

// awaitProgram returns true when the program accepts connections, false when ctx
// ends before. Until then it tells where the program listens instead.
func (f Frame) awaitProgram(ctx context.Context, n Network) bool {
	began, told := time.Now(), ""
	for {
		if conn, err := n.Dial(ctx, f.Port); err == nil {
			conn.Close()
			if f.Listens != "" {
				os.Remove(f.Listens)
			}
			return true
		}
		age := time.Since(began)
		if age > 50*time.Millisecond && f.Listens != "" {
			if text := Listening(n.Listening(), f.within()); text != told {
				told = text
				_ = os.WriteFile(f.Listens, []byte(text), 0o600) // a hint only
			}
		}
		// The wait adds at most a fiftieth to what the start took.
		select {
		case <-time.After(min(time.Second, max(2*time.Millisecond, age/50))):
		case <-ctx.Done():
			return false
		}
	}
}

// reach listens within for what the program is to reach of this machine.
func (f Frame) reach(n Network) error {
	for _, at := range f.Reach {
		if err := lead(n, at, at); err != nil {
			return err
		}
	}
	for _, named := range f.Named {
		for _, port := range named.Ports {
			if err := lead(n, netip.AddrPortFrom(named.At, port), named.To); err != nil { // a program that does not use it runs as well without
				fmt.Fprintf(os.Stderr, "titrate: %s:%d is not reached by its name: %v\n", named.Name, port, err)
			}
		}
	}
	return nil
}

// lead carries connections to an address within to one of this machine.
func lead(n Network, at, to netip.AddrPort) error {
	ln, err := n.Listen(at)
	if err != nil {
		return fmt.Errorf("listen on %s within for %s of this machine: %w", at, to, err)
	}
	go forward(ln, func() (net.Conn, error) {
		return (&net.Dialer{Timeout: dialTimeout}).Dial("tcp", to.String())
	})
	return nil
}

// within lists the addresses within that are not the program's own.
func (f Frame) within() []netip.AddrPort {
	all := slices.Clone(f.Reach)
	for _, named := range f.Named {
		for _, port := range named.Ports {
			all = append(all, netip.AddrPortFrom(named.At, port))
		}
	}
	return all
}

// forward joins each connection that ln accepts with one that dial makes, until ln
// is closed.
func forward(ln net.Listener, dial func() (net.Conn, error)) {
	for {
		from, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // no descriptors are left, say
			<-time.After(10 * time.Millisecond)
			continue
		}
		go func() {
			to, err := dial()
			if err != nil {
				reset(from)
				return
			}
			join(from, to)
		}()
	}
}

// join carries bytes both ways until both sides have said all. A side that has
// nothing more to say is told so to the other, which may go on.
func join(a, b net.Conn) {
	var both sync.WaitGroup
	carry := func(to, from net.Conn) {
		if _, err := io.Copy(to, from); err != nil {
			reset(a) // what broke here breaks for both
			reset(b)
			return
		}
		if half, ok := to.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite() // it has gone: the other direction notices
		}
	}
	both.Go(func() { carry(a, b) })
	both.Go(func() { carry(b, a) })
	both.Wait()
	a.Close()
	b.Close()
}

// reset closes a connection so that its other end sees a failure and not an end.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

// Listening says where a program listens, for people: ":3000". What except names is
// not its own.
func Listening(addrs, except []netip.AddrPort) string {
	var out []string
	for _, a := range addrs {
		if slices.Contains(except, a) {
			continue
		}
		text := fmt.Sprintf(":%d", a.Port())
		if ip := a.Addr(); !ip.IsUnspecified() && ip.String() != "127.0.0.1" {
			text = a.String()
		}
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	if len(out) == 0 {
		return "the process listens on no port"
	}
	slices.Sort(out)
	return "the process listens on " + strings.Join(out, ", ")
}
