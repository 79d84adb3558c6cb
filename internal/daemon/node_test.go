package daemon

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/gateway"
	"titrate/internal/keeper"
	"titrate/internal/node"
)

func TestNode_endsWhenItsGatewayCannotAcceptAnyMore(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	var lc net.ListenConfig
	public, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer public.Close()
	internal, err := gateway.ListenInternal(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer internal.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var said strings.Builder
	c := exec.CommandContext(ctx, os.Args[0], "__node", string(dir))
	c.Env = append(os.Environ(), keeper.SocketsVar+"="+socketGateway+","+socketInternal)
	c.ExtraFiles = []*os.File{file(t, public), file(t, internal)}
	c.Stdout = &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	token, err := dir.nodeToken()
	if err != nil {
		t.Fatal(err)
	}
	answers(t, node.NewClient(dir.nodeSocket(), token))
	// From now on accept(2) fails, as it may for want of memory.
	if err := unix.Shutdown(int(c.ExtraFiles[1].Fd()), unix.SHUT_RD); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // it is killed when the time is over
	if ctx.Err() != nil || !strings.Contains(said.String(), "gateway: accept") {
		t.Errorf("it lives on and serves nothing, or said %q", said.String())
	}
}

func file(t *testing.T, l net.Listener) *os.File {
	t.Helper()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestServeHTTP_letsIdleConnectionsGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := make(pipes)
		ended := make(chan error, 1)
		go func() {
			ended <- serveHTTP(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
		}()
		ours, theirs := net.Pipe()
		l <- theirs
		if _, err := io.WriteString(ours, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(ours)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		began := time.Now()
		if err := ours.SetReadDeadline(began.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := in.ReadByte(); !errors.Is(err, io.EOF) || time.Since(began) > 2*time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// pipes is a listener whose connections are what is sent to it.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

// Close may be called again, as net's own listeners can be.
func (p pipes) Close() error {
	defer func() { _ = recover() }()
	close(p)
	return nil
}

func (p pipes) Addr() net.Addr { return &net.UnixAddr{} }
