package shim

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/porttest"
)

// fake is a container whose network is this machine's: its program listens at program.
type fake struct {
	refuse  error
	signals chan unix.Signal
	exit    chan Exit
	reached chan netip.AddrPort
	led     []Redirect
}

func newFake() *fake {
	return &fake{signals: make(chan unix.Signal, 4), exit: make(chan Exit, 1), reached: make(chan netip.AddrPort, 4)}
}

func (f *fake) Start(_ context.Context, prepare func(Network) error) error {
	return errors.Join(prepare(f), f.refuse)
}
func (f *fake) Signal(sig unix.Signal) { f.signals <- sig }
func (f *fake) Wait() Exit             { return <-f.exit }
func (f *fake) Redirect(_ context.Context, all []Redirect) error {
	f.led = all
	return nil
}

func (f *fake) Listening() []netip.AddrPort {
	return []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:3000")}
}

func (f *fake) Dial(ctx context.Context, port int) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port)).String())
}

func (f *fake) Listen(at netip.AddrPort) (net.Listener, error) {
	f.reached <- at
	return net.Listen("tcp", "127.0.0.2:0")
}

// eventually waits for something that nobody tells.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline, tick := time.After(30*time.Second), time.NewTicker(2*time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("never: " + what)
		}
	}
}

func TestFrame_listensWhileTheProgramDoes(t *testing.T) {
	t.Parallel()
	host, inner := porttest.Held(t), porttest.Held(t)
	hint := filepath.Join(t.TempDir(), "listens")
	f := Frame{Host: host, Port: inner, Listens: hint}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.serve(ctx, newFake(), nil) }()
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(host)).String()
	answers := func() bool {
		c, err := net.Dial("tcp", at)
		if err != nil {
			return false
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.WriteString(c, "hello"); err != nil {
			return false
		}
		_ = c.(*net.TCPConn).CloseWrite() // all is said, and the answer is still to come
		b, err := io.ReadAll(c)
		return err == nil && string(b) == "HELLO"
	}
	eventually(t, "it tells where the program listens instead", func() bool {
		b, err := os.ReadFile(hint)
		return err == nil && string(b) == "the process listens on :3000"
	})
	if answers() {
		t.Error("it listens before the program does")
	}
	for range 2 {
		ln, err := net.Listen("tcp", netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(inner)).String())
		if err != nil {
			t.Fatal(err)
		}
		go shout(ln)
		eventually(t, "it listens", answers)
		if _, err := os.Stat(hint); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the hint stays: %v", err)
		}
		ln.Close()
		eventually(t, "it listens no more", func() bool { _, err := net.Dial("tcp", at); return err != nil })
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// shout answers each connection with what it said, loudly, once it has said all.
func shout(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if b, err := io.ReadAll(c); err == nil {
				_, _ = io.WriteString(c, strings.ToUpper(string(b)))
			}
		}()
	}
}

func TestJoin_whatBreaksBreaksForBoth(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	pair := func() (a, b net.Conn) {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		s, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c, s
	}
	client, left := pair()
	right, server := pair()
	go join(left, right)
	if _, err := io.WriteString(client, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	reset(server)
	_ = client.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the other side sees %v, want a reset", err)
	}
}

func TestRun_endsAsTheProgramDoes(t *testing.T) {
	t.Parallel()
	c := newFake()
	started := make(chan error, 1)
	got := make(chan Exit, 1)
	there := netip.MustParseAddrPort("127.0.0.1:5432")
	by := Named{Name: "db", At: netip.MustParseAddr("127.240.0.1"), Ports: []uint16{5432, 80}, Taken: []uint16{8080}, To: there}
	f := Frame{Reach: []netip.AddrPort{there}, Named: []Named{by}}
	go func() { got <- Run(c, f, func(err error) { started <- err }) }()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	all := []netip.AddrPort{there, netip.MustParseAddrPort("127.240.0.1:5432"), netip.MustParseAddrPort("127.240.0.1:80"), netip.MustParseAddrPort("127.240.0.1:0")}
	for _, want := range all {
		if at := <-c.reached; at != want {
			t.Errorf("it listens on %s, want %s", at, want)
		}
	}
	if len(c.led) != 1 || c.led[0].From != netip.MustParseAddrPort("127.240.0.1:8080") || c.led[0].Port == 0 {
		t.Errorf("led elsewhere: %v", c.led)
	}
	c.exit <- Exit{Code: 7}
	if e := <-got; e.Code != 7 {
		t.Errorf("%+v", e)
	}
	c = newFake()
	c.refuse = errors.New("no")
	if e := Run(c, Frame{}, func(err error) { started <- err }); e.Code != 126 || (<-started).Error() != "no" {
		t.Errorf("%+v", e)
	}
}

func TestListening(t *testing.T) {
	t.Parallel()
	a := netip.MustParseAddrPort
	for _, c := range []struct {
		want          string
		addrs, except []netip.AddrPort
	}{
		{"the process listens on no port", nil, nil},
		{"the process listens on :3000, [::1]:80", []netip.AddrPort{a("0.0.0.0:3000"), a("[::]:3000"), a("[::1]:80")}, nil},
		{"the process listens on :80", []netip.AddrPort{a("127.0.0.1:80"), a("127.16.0.1:4000")}, []netip.AddrPort{a("127.16.0.1:4000")}},
	} {
		if got := Listening(c.addrs, c.except); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
