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
// listens only while the program does. What listens within at ours is not the program's.
func (f Frame) serve(ctx context.Context, n Network, ours []netip.AddrPort) error {
	at := fmt.Sprintf("127.0.0.1:%d", f.Host)
	for f.awaitProgram(ctx, n, ours) {
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
func (f Frame) awaitProgram(ctx context.Context, n Network, ours []netip.AddrPort) bool {
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
			if text := Listening(n.Listening(), ours); text != told {
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

// reach listens within for what the program is to reach of this machine, and returns
// where.
func (f Frame) reach(ctx context.Context, n Network) (ours []netip.AddrPort, err error) {
	for _, at := range f.Reach {
		if _, err := lead(n, at, at); err != nil {
			return nil, err
		}
		ours = append(ours, at)
	}
	var all []Redirect
	for _, named := range f.Named {
		for _, port := range append(slices.Clone(named.Ports), named.Taken...) {
			at := netip.AddrPortFrom(named.At, port)
			taken := slices.Contains(named.Taken, port)
			if taken {
				at = netip.AddrPortFrom(named.At, 0)
			}
			at, err := lead(n, at, named.To)
			if err != nil { // a program that does not use it runs as well without
				fmt.Fprintf(os.Stderr, "titrate: %s:%d is not reached by its name: %v\n", named.Name, port, err)
				continue
			}
			ours = append(ours, at)
			if taken {
				all = append(all, Redirect{From: netip.AddrPortFrom(named.At, port), Port: at.Port()})
			}
		}
	}
	if len(all) == 0 {
		return ours, nil
	}
	return ours, n.Redirect(ctx, all) // without it the program would answer itself
}

// lead carries connections to an address within to one of this machine. Port 0 is one
// that nobody uses; it returns which.
func lead(n Network, at, to netip.AddrPort) (netip.AddrPort, error) {
	ln, err := n.Listen(at)
	if err != nil {
		return at, fmt.Errorf("listen on %s within for %s of this machine: %w", at, to, err)
	}
	if tcp, ok := ln.Addr().(*net.TCPAddr); ok && at.Port() == 0 {
		at = netip.AddrPortFrom(at.Addr(), uint16(tcp.Port))
	}
	go forward(ln, func() (net.Conn, error) {
		return (&net.Dialer{Timeout: dialTimeout}).Dial("tcp", to.String())
	})
	return at, nil
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
